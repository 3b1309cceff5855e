//! Lists, hashes and sets.

use super::{Args, Exec, Fail, List, Store, integer, pop_count, reply};

impl Store {
    pub(super) fn push(
        &mut self,
        args: Args<'_>,
        x: &mut Exec<'_>,
        push: fn(&mut List, Box<[u8]>),
    ) -> Result<(), Fail> {
        let list = self.list_or_new(args.at(1), x)?;
        args.from(2).for_each(|value| push(list, value.into()));
        let len = list.len();
        x.log_args(args);
        reply::count(x.out, len);
        Ok(())
    }

    pub(super) fn pop(
        &mut self,
        args: Args<'_>,
        x: &mut Exec<'_>,
        pop: fn(&mut List) -> Option<Box<[u8]>>,
    ) -> Result<(), Fail> {
        let count = pop_count(args)?;
        let key = args.at(1);
        let Some(list) = self.list(key, x)? else {
            x.out.extend_from_slice(if count.is_some() {
                b"*-1\r\n"
            } else {
                reply::NIL
            });
            return Ok(());
        };
        let taken = count.unwrap_or(1).min(list.len());
        if count.is_some() {
            reply::array(x.out, taken);
        }
        for _ in 0..taken {
            if let Some(value) = pop(list) {
                reply::bulk(x.out, &value);
            }
        }
        if taken > 0 {
            self.remove_if_empty(key);
            x.log_args(args);
        }
        Ok(())
    }

    pub(super) fn llen(&mut self, args: Args<'_>, x: &mut Exec<'_>) -> Result<(), Fail> {
        let len = self.list(args.at(1), x)?.map_or(0, |list| list.len());
        reply::count(x.out, len);
        Ok(())
    }

    pub(super) fn lrange(&mut self, args: Args<'_>, x: &mut Exec<'_>) -> Result<(), Fail> {
        let (first, last) = (integer(args.at(2))?, integer(args.at(3))?);
        let Some(list) = self.list(args.at(1), x)? else {
            reply::array(x.out, 0);
            return Ok(());
        };
        let len = list.len() as i64;
        let from_end = |i: i64| if i < 0 { i.saturating_add(len) } else { i };
        let first = from_end(first).max(0);
        let last = from_end(last).min(len - 1);
        if first > last {
            reply::array(x.out, 0);
            return Ok(());
        }
        let range = first as usize..=last as usize;
        reply::array(x.out, range.clone().count());
        list.range(range)
            .for_each(|value| reply::bulk(x.out, value));
        Ok(())
    }

    pub(super) fn hset(&mut self, args: Args<'_>, x: &mut Exec<'_>) -> Result<(), Fail> {
        if args.len() % 2 == 1 {
            return Err(Fail::arity("hset"));
        }
        let hash = self.hash_or_new(args.at(1), x)?;
        let before = hash.len();
        let mut rest = args.from(2);
        while let (Some(field), Some(value)) = (rest.next(), rest.next()) {
            hash.insert(field.into(), value.into());
        }
        let added = hash.len() - before;
        x.log_args(args);
        reply::count(x.out, added);
        Ok(())
    }

    pub(super) fn hget(&mut self, args: Args<'_>, x: &mut Exec<'_>) -> Result<(), Fail> {
        match self
            .hash(args.at(1), x)?
            .and_then(|hash| hash.get(args.at(2)))
        {
            Some(value) => reply::bulk(x.out, value),
            None => reply::nil(x.out),
        }
        Ok(())
    }

    pub(super) fn hgetall(&mut self, args: Args<'_>, x: &mut Exec<'_>) -> Result<(), Fail> {
        let Some(hash) = self.hash(args.at(1), x)? else {
            reply::array(x.out, 0);
            return Ok(());
        };
        reply::array(x.out, hash.len() * 2);
        for (field, value) in hash {
            reply::bulk(x.out, field);
            reply::bulk(x.out, value);
        }
        Ok(())
    }

    pub(super) fn hlen(&mut self, args: Args<'_>, x: &mut Exec<'_>) -> Result<(), Fail> {
        let len = self.hash(args.at(1), x)?.map_or(0, |hash| hash.len());
        reply::count(x.out, len);
        Ok(())
    }

    pub(super) fn hdel(&mut self, args: Args<'_>, x: &mut Exec<'_>) -> Result<(), Fail> {
        let key = args.at(1);
        let removed = match self.hash(key, x)? {
            Some(hash) => args
                .from(2)
                .filter(|field| hash.swap_remove(*field).is_some())
                .count(),
            None => 0,
        };
        self.removed(args, x, removed)
    }

    pub(super) fn sadd(&mut self, args: Args<'_>, x: &mut Exec<'_>) -> Result<(), Fail> {
        let set = self.set_or_new(args.at(1), x)?;
        let added = args
            .from(2)
            .filter(|member| !set.contains(*member) && set.insert((*member).into()))
            .count();
        if added > 0 {
            x.log_args(args);
        }
        reply::count(x.out, added);
        Ok(())
    }

    pub(super) fn srem(&mut self, args: Args<'_>, x: &mut Exec<'_>) -> Result<(), Fail> {
        let removed = match self.set(args.at(1), x)? {
            Some(set) => args
                .from(2)
                .filter(|member| set.swap_remove(*member))
                .count(),
            None => 0,
        };
        self.removed(args, x, removed)
    }

    /// The end of `HDEL` and `SREM`.
    fn removed(&mut self, args: Args<'_>, x: &mut Exec<'_>, count: usize) -> Result<(), Fail> {
        if count > 0 {
            self.remove_if_empty(args.at(1));
            x.log_args(args);
        }
        reply::count(x.out, count);
        Ok(())
    }

    pub(super) fn scard(&mut self, args: Args<'_>, x: &mut Exec<'_>) -> Result<(), Fail> {
        let len = self.set(args.at(1), x)?.map_or(0, |set| set.len());
        reply::count(x.out, len);
        Ok(())
    }

    pub(super) fn sismember(&mut self, args: Args<'_>, x: &mut Exec<'_>) -> Result<(), Fail> {
        let found = self
            .set(args.at(1), x)?
            .is_some_and(|set| set.contains(args.at(2)));
        reply::int(x.out, found.into());
        Ok(())
    }

    pub(super) fn smembers(&mut self, args: Args<'_>, x: &mut Exec<'_>) -> Result<(), Fail> {
        match self.set(args.at(1), x)? {
            Some(set) => reply::bulks(x.out, set.iter()),
            None => reply::array(x.out, 0),
        }
        Ok(())
    }

    /// `SPOP key [count]`, logged as the `SREM` that chance made of it.
    pub(super) fn spop(&mut self, args: Args<'_>, x: &mut Exec<'_>) -> Result<(), Fail> {
        let count = pop_count(args)?;
        let key = args.at(1);
        let len = self.set(key, x)?.map_or(0, |set| set.len());
        let taken = count.unwrap_or(1).min(len);
        let mut members = Vec::new();
        for left in (len - taken + 1..=len).rev() {
            let at = self.random_below(left);
            let member = self.set(key, x)?.and_then(|set| set.swap_remove_index(at));
            members.extend(member);
        }
        if !members.is_empty() {
            self.remove_if_empty(key);
            let words = [&b"SREM"[..], key]
                .into_iter()
                .chain(members.iter().map(|m| &**m));
            let words: Vec<&[u8]> = words.collect();
            x.log(key, words.into_iter());
        }
        match (count, members.first()) {
            (Some(_), _) => reply::bulks(x.out, members.iter()),
            (None, Some(member)) => reply::bulk(x.out, member),
            (None, None) => reply::nil(x.out),
        }
        Ok(())
    }
}
