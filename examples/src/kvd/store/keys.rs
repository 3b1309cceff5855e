//! Commands on keys of any kind: existence, deadlines, listing.

use super::super::glob;
use super::super::log::{self, KeyHash};
use super::{Args, Exec, Fail, Place, Store, integer, parse_i64, reply};

impl Store {
    pub(super) fn del(&mut self, args: Args<'_>, x: &mut Exec<'_>) -> Result<(), Fail> {
        let key = args.at(1);
        let existed = self.find(key, x).is_some();
        if existed {
            self.remove(key);
            x.log(key, [&b"DEL"[..], key].into_iter());
        }
        reply::int(x.out, existed.into());
        Ok(())
    }

    pub(super) fn exists(&mut self, args: Args<'_>, x: &mut Exec<'_>) -> Result<(), Fail> {
        let exists = self.find(args.at(1), x).is_some();
        reply::int(x.out, exists.into());
        Ok(())
    }

    pub(super) fn kind(&mut self, args: Args<'_>, x: &mut Exec<'_>) -> Result<(), Fail> {
        let kind = self
            .find(args.at(1), x)
            .map_or("none", |entry| entry.value.kind());
        reply::simple(x.out, kind);
        Ok(())
    }

    /// The four `EXPIRE` commands: argument 2 counts `unit_ms` from the moment `from`.
    pub(super) fn expire(
        &mut self,
        args: Args<'_>,
        x: &mut Exec<'_>,
        name: &str,
        unit_ms: i64,
        from: u64,
    ) -> Result<(), Fail> {
        if args.len() != 3 {
            return Err(Fail::SYNTAX);
        }
        let key = args.at(1);
        let deadline = integer(args.at(2))?
            .checked_mul(unit_ms)
            .and_then(|amount| amount.checked_add_unsigned(from))
            .ok_or_else(|| Fail::expire_time(name))?;
        if self.find(key, x).is_none() {
            reply::int(x.out, 0);
            return Ok(());
        }
        if deadline <= x.now as i64 {
            self.remove(key);
            x.log(key, [&b"DEL"[..], key].into_iter());
        } else {
            self.set_deadline(key, deadline as u64);
            let at = deadline.to_string();
            x.log(key, [&b"PEXPIREAT"[..], key, at.as_bytes()].into_iter());
        }
        reply::int(x.out, 1);
        Ok(())
    }

    pub(super) fn persist(&mut self, args: Args<'_>, x: &mut Exec<'_>) -> Result<(), Fail> {
        let key = args.at(1);
        let had = self.find(key, x).is_some_and(|entry| entry.deadline != 0);
        if had {
            self.set_deadline(key, 0);
            x.log_args(args);
        }
        reply::int(x.out, had.into());
        Ok(())
    }

    pub(super) fn ttl(
        &mut self,
        args: Args<'_>,
        x: &mut Exec<'_>,
        unit_ms: u64,
    ) -> Result<(), Fail> {
        let left = match self.find(args.at(1), x).map(|entry| entry.deadline) {
            None => -2,
            Some(0) => -1,
            Some(deadline) => ((deadline.saturating_sub(x.now) + unit_ms / 2) / unit_ms) as i64,
        };
        reply::int(x.out, left);
        Ok(())
    }

    pub(super) fn dbsize(&mut self, x: &mut Exec<'_>) -> Result<(), Fail> {
        reply::count(x.out, self.keys.len());
        Ok(())
    }

    /// `FLUSHDB`. Its record names the shard's place, `FLUSHDB index of`, and every shard reads it:
    /// after a start with another number of shards it still empties what this shard had.
    pub(super) fn flush(&mut self, args: Args<'_>, x: &mut Exec<'_>) -> Result<(), Fail> {
        let word = |i| {
            args.get(i)
                .and_then(parse_i64)
                .and_then(|n| usize::try_from(n).ok())
        };
        if let (0, Some(index), Some(of)) = (x.now, word(1), word(2)) {
            let place = Place {
                index,
                of: of.max(1),
            };
            let of_place = |key: &[u8]| KeyHash::of(key).shard(place.of) == place.index;
            self.keys.retain(|key, _| !of_place(key));
            self.deadlines.retain(|(_, key)| !of_place(key));
            return Ok(());
        }
        match (
            args.len(),
            args.get(1).map(<[u8]>::to_ascii_lowercase).as_deref(),
        ) {
            (1, _) | (2, Some(b"async" | b"sync")) => {}
            _ => return Err(Fail::SYNTAX),
        }
        if !self.keys.is_empty() {
            self.keys = Default::default();
            self.deadlines.clear();
            if let Some(log) = x.log.as_deref_mut() {
                let (index, of) = (self.place.index.to_string(), self.place.of.to_string());
                let words = [&b"FLUSHDB"[..], index.as_bytes(), of.as_bytes()];
                log::append(log, KeyHash::EVERYONE, words.into_iter());
            }
        }
        reply::ok(x.out);
        Ok(())
    }

    pub(super) fn matching(&mut self, args: Args<'_>, x: &mut Exec<'_>) -> Result<(), Fail> {
        let pattern = args.at(1);
        let found: Vec<&[u8]> = self
            .keys
            .iter()
            .filter(|(key, entry)| !x.is_past(entry.deadline) && glob::matches(pattern, key))
            .map(|(key, _)| &**key)
            .collect();
        reply::bulks(x.out, found.iter());
        Ok(())
    }

    /// `SCAN cursor [MATCH pattern] [COUNT n] [TYPE kind]`.
    ///
    /// A cursor is `position * shards + shard`; keys below `position` are still to be visited, and
    /// 0 stands for "from the shard's end". The last key of a shard leads to the next shard.
    pub(super) fn scan(&mut self, args: Args<'_>, x: &mut Exec<'_>) -> Result<(), Fail> {
        let of = self.place.of;
        let position = parse_cursor(args.at(1)).ok_or(Fail::text("ERR invalid cursor"))? / of;
        let (mut pattern, mut kind, mut count): (Option<&[u8]>, Option<&[u8]>, _) =
            (None, None, 10);
        let mut rest = args.from(2);
        while let Some(word) = rest.next() {
            let value = rest.next().ok_or(Fail::SYNTAX)?;
            match word.to_ascii_lowercase().as_slice() {
                b"match" => pattern = Some(value),
                b"type" => kind = Some(value),
                b"count" => {
                    let wanted = usize::try_from(integer(value)?).unwrap_or(0);
                    count = if wanted == 0 {
                        return Err(Fail::SYNTAX);
                    } else {
                        wanted
                    };
                }
                _ => return Err(Fail::SYNTAX),
            }
        }
        let end = if position == 0 {
            self.keys.len()
        } else {
            position.min(self.keys.len())
        };
        let start = end.saturating_sub(count);
        let found: Vec<&[u8]> = self.keys[start..end]
            .iter()
            .filter(|(key, entry)| {
                !x.is_past(entry.deadline)
                    && pattern.is_none_or(|pattern| glob::matches(pattern, key))
                    && kind
                        .is_none_or(|kind| kind.eq_ignore_ascii_case(entry.value.kind().as_bytes()))
            })
            .map(|(key, _)| &**key)
            .collect();
        let next = match start {
            0 => (self.place.index + 1) % of,
            _ => start * of + self.place.index,
        };
        reply::array(x.out, 2);
        reply::bulk(x.out, next.to_string().as_bytes());
        reply::bulks(x.out, found.iter());
        Ok(())
    }
}

pub(crate) fn parse_cursor(text: &[u8]) -> Option<usize> {
    std::str::from_utf8(text).ok()?.parse().ok()
}
