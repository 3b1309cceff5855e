//! Strings: `GET`, `SET` with its options, `INCR` and its kin, `APPEND`, `STRLEN`.

use super::{Args, Entry, Exec, Fail, Store, Value, integer, parse_i64, reply};

/// When a `SET` takes effect.
#[derive(PartialEq)]
enum If {
    Always,
    Missing,
    Present,
}

struct SetOptions {
    condition: If,
    /// Milliseconds since 1970; 0: none.
    deadline: u64,
    keep_deadline: bool,
    give_old: bool,
}

impl SetOptions {
    fn parse(args: Args<'_>, now: u64) -> Result<Self, Fail> {
        let mut options = Self {
            condition: If::Always,
            deadline: 0,
            keep_deadline: false,
            give_old: false,
        };
        let mut rest = args.from(3);
        while let Some(word) = rest.next() {
            let (unit, from) = match word.to_ascii_lowercase().as_slice() {
                b"nx" if options.condition == If::Always => {
                    options.condition = If::Missing;
                    continue;
                }
                b"xx" if options.condition == If::Always => {
                    options.condition = If::Present;
                    continue;
                }
                b"get" => {
                    options.give_old = true;
                    continue;
                }
                b"keepttl" if options.deadline == 0 => {
                    options.keep_deadline = true;
                    continue;
                }
                b"ex" => (1000, now),
                b"px" => (1, now),
                b"exat" => (1000, 0),
                b"pxat" => (1, 0),
                _ => return Err(Fail::SYNTAX),
            };
            if options.deadline != 0 || options.keep_deadline {
                return Err(Fail::SYNTAX);
            }
            let amount = integer(rest.next().ok_or(Fail::SYNTAX)?)?;
            options.deadline = u64::try_from(amount)
                .ok()
                .filter(|&amount| amount > 0)
                .and_then(|amount| amount.checked_mul(unit)?.checked_add(from))
                .filter(|&deadline| deadline <= i64::MAX as u64)
                .ok_or_else(|| Fail::expire_time("set"))?;
        }
        Ok(options)
    }
}

impl Store {
    pub(super) fn get(&mut self, args: Args<'_>, x: &mut Exec<'_>) -> Result<(), Fail> {
        match self.string(args.at(1), x)? {
            Some(value) => reply::bulk(x.out, value),
            None => reply::nil(x.out),
        }
        Ok(())
    }

    pub(super) fn set_string(&mut self, args: Args<'_>, x: &mut Exec<'_>) -> Result<(), Fail> {
        let (key, value) = (args.at(1), args.at(2));
        let options = SetOptions::parse(args, x.now)?;
        if options.give_old {
            self.get(args, x)?;
        }
        let entry = self.find(key, x);
        let exists = entry.is_some();
        let refused = match options.condition {
            If::Always => false,
            If::Missing => exists,
            If::Present => !exists,
        };
        if refused {
            if !options.give_old {
                reply::nil(x.out);
            }
            return Ok(());
        }
        let deadline = entry.as_ref().map_or(0, |entry| entry.deadline);
        match entry {
            Some(Entry {
                value: Value::Str(old),
                ..
            }) => {
                // The old buffer serves again, unless it would waste most of itself.
                if old.capacity() > value.len().saturating_mul(2).max(64) {
                    *old = Vec::new();
                }
                old.clear();
                old.extend_from_slice(value);
            }
            Some(entry) => entry.value = Value::Str(value.to_vec()),
            None => {
                let entry = Entry {
                    value: Value::Str(value.to_vec()),
                    deadline: 0,
                };
                self.keys.insert(key.into(), entry);
            }
        }
        let set: [&[u8]; 3] = [b"SET", key, value];
        if options.keep_deadline {
            x.log(key, [set[0], key, value, b"KEEPTTL"].into_iter());
        } else {
            if options.deadline != deadline {
                self.set_deadline(key, options.deadline);
            }
            if options.deadline == 0 {
                x.log(key, set.into_iter());
            } else {
                let at = options.deadline.to_string();
                x.log(
                    key,
                    [set[0], key, value, b"PXAT", at.as_bytes()].into_iter(),
                );
            }
        }
        if !options.give_old {
            reply::ok(x.out);
        }
        Ok(())
    }

    /// `INCR`, `DECR`, `INCRBY`, `DECRBY`; `by` is `None` when it is argument 2.
    pub(super) fn add(
        &mut self,
        args: Args<'_>,
        x: &mut Exec<'_>,
        by: Option<i64>,
    ) -> Result<(), Fail> {
        let by = by.map_or_else(|| integer(args.at(2)), Ok)?;
        let key = args.at(1);
        let before = match self.string(key, x)? {
            Some(value) => parse_i64(value).ok_or(Fail::NOT_INTEGER)?,
            None => 0,
        };
        let after = before.checked_add(by).ok_or(Fail::OVERFLOW)?;
        *self.string_or_new(key, x)? = after.to_string().into_bytes();
        x.log_args(args);
        reply::int(x.out, after);
        Ok(())
    }

    pub(super) fn append(&mut self, args: Args<'_>, x: &mut Exec<'_>) -> Result<(), Fail> {
        let (key, tail) = (args.at(1), args.at(2));
        let max = self.value_bytes_max;
        if self.string(key, x)?.map_or(0, |value| value.len()) + tail.len() > max {
            return Err(Fail::TOO_LONG);
        }
        let value = self.string_or_new(key, x)?;
        value.extend_from_slice(tail);
        let len = value.len();
        x.log_args(args);
        reply::count(x.out, len);
        Ok(())
    }

    pub(super) fn strlen(&mut self, args: Args<'_>, x: &mut Exec<'_>) -> Result<(), Fail> {
        let len = self.string(args.at(1), x)?.map_or(0, |value| value.len());
        reply::count(x.out, len);
        Ok(())
    }
}
