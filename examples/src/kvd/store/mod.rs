//! One shard's keys and values, and the commands on them: plain data, no actor in sight.
//!
//! - [`Store::execute`] runs one command, appends its reply to `out` and, if it changed anything,
//!   its record to `log`. The same function replays the log: what is logged is a command.
//! - A record is deterministic: `EXPIRE` is logged as `PEXPIREAT`, `SPOP` as `SREM`.
//! - A key past its deadline is gone for every command; the first that notices removes it and logs
//!   `DEL`. In a replay (`now == 0`) nothing expires by itself: what follows the key's death in the
//!   log was decided with the `DEL` before it, at whatever time the replay happens.
//! - Keys lie in an index map that removes by swapping in the last one. `SCAN` goes downwards from
//!   the end: what moves, moves into positions not yet visited or is seen twice; nothing that stays
//!   for the whole scan is missed.
//! - A collection that becomes empty takes its key with it.

mod collections;
mod keys;
mod replay;
mod strings;
mod zsets;

use std::borrow::Cow;
use std::collections::{BTreeSet, VecDeque};
use std::hash::{BuildHasher as _, RandomState};

use indexmap::{IndexMap, IndexSet};

use super::command::Op;
use super::log::{self, KeyHash};
use super::resp::{Args, parse_i64, reply};
pub(crate) use keys::parse_cursor;
use zsets::ZSet;

type Bytes = Box<[u8]>;
type List = VecDeque<Bytes>;
type Hash = IndexMap<Bytes, Bytes>;
type Set = IndexSet<Bytes>;

/// Which shard of how many this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) index: usize,
    pub(crate) of: usize,
}

/// Why a command was refused: the text of its error reply.
#[derive(Debug)]
pub(crate) struct Fail(Cow<'static, str>);

impl Fail {
    const SYNTAX: Self = Self(Cow::Borrowed("ERR syntax error"));
    const NOT_INTEGER: Self = Self(Cow::Borrowed("ERR value is not an integer or out of range"));
    const NOT_POSITIVE: Self = Self(Cow::Borrowed("ERR value is out of range, must be positive"));
    const NOT_FLOAT: Self = Self(Cow::Borrowed("ERR value is not a valid float"));
    const OVERFLOW: Self = Self(Cow::Borrowed("ERR increment or decrement would overflow"));
    const WRONG_TYPE: Self = Self(Cow::Borrowed(
        "WRONGTYPE Operation against a key holding the wrong kind of value",
    ));
    const TOO_LONG: Self = Self(Cow::Borrowed(
        "ERR string exceeds maximum allowed size (proto-max-bulk-len)",
    ));

    const fn text(text: &'static str) -> Self {
        Self(Cow::Borrowed(text))
    }

    fn expire_time(command: &str) -> Self {
        Self(Cow::Owned(format!(
            "ERR invalid expire time in '{command}' command"
        )))
    }

    fn arity(command: &str) -> Self {
        Self(Cow::Owned(super::command::arity_error(command)))
    }
}

/// What a command runs with.
#[derive(Debug)]
pub(crate) struct Exec<'a> {
    /// Milliseconds since 1970; 0 in a replay.
    pub(crate) now: u64,
    pub(crate) out: &'a mut Vec<u8>,
    /// Where records go; `None` in a replay.
    pub(crate) log: Option<&'a mut Vec<u8>>,
}

impl Exec<'_> {
    /// Logs the command as it came.
    fn log_args(&mut self, args: Args<'_>) {
        self.log(args.at(1), args.from(0));
    }

    fn log<'b>(&mut self, key: &[u8], words: impl ExactSizeIterator<Item = &'b [u8]>) {
        if let Some(log) = self.log.as_deref_mut() {
            log::append(log, KeyHash::of(key), words);
        }
    }

    fn is_past(&self, deadline: u64) -> bool {
        deadline != 0 && self.now != 0 && deadline <= self.now
    }
}

#[derive(Debug)]
enum Value {
    Str(Vec<u8>),
    List(List),
    Hash(Hash),
    Set(Set),
    ZSet(ZSet),
}

impl Value {
    fn kind(&self) -> &'static str {
        match self {
            Self::Str(_) => "string",
            Self::List(_) => "list",
            Self::Hash(_) => "hash",
            Self::Set(_) => "set",
            Self::ZSet(_) => "zset",
        }
    }

    fn is_empty_collection(&self) -> bool {
        match self {
            Self::Str(_) => false,
            Self::List(list) => list.is_empty(),
            Self::Hash(hash) => hash.is_empty(),
            Self::Set(set) => set.is_empty(),
            Self::ZSet(zset) => zset.len() == 0,
        }
    }
}

#[derive(Debug)]
struct Entry {
    value: Value,
    /// Milliseconds since 1970; 0: none.
    deadline: u64,
}

/// The keys of one shard.
#[derive(Debug)]
pub(crate) struct Store {
    keys: IndexMap<Bytes, Entry>,
    /// Every key with a deadline, soonest first.
    deadlines: BTreeSet<(u64, Bytes)>,
    place: Place,
    value_bytes_max: usize,
    random: u64,
}

/// A typed value that exists, by name of its kind: `Ok(None)` when there is no such key.
macro_rules! typed {
    ($find:ident, $create:ident, $variant:ident, $type:ty) => {
        fn $find(&mut self, key: &[u8], x: &mut Exec<'_>) -> Result<Option<&mut $type>, Fail> {
            match self.find(key, x).map(|entry| &mut entry.value) {
                None => Ok(None),
                Some(Value::$variant(value)) => Ok(Some(value)),
                Some(_) => Err(Fail::WRONG_TYPE),
            }
        }

        fn $create(&mut self, key: &[u8], x: &mut Exec<'_>) -> Result<&mut $type, Fail> {
            if self.find(key, x).is_none() {
                let entry = Entry {
                    value: Value::$variant(Default::default()),
                    deadline: 0,
                };
                self.keys.insert(key.into(), entry);
            }
            self.$find(key, x).map(|value| value.expect("made above"))
        }
    };
}

impl Store {
    pub(crate) fn new(place: Place, value_bytes_max: usize) -> Self {
        Self {
            keys: IndexMap::new(),
            deadlines: BTreeSet::new(),
            place,
            value_bytes_max,
            random: RandomState::new().hash_one(place.index) | 1,
        }
    }

    typed!(list, list_or_new, List, List);
    typed!(hash, hash_or_new, Hash, Hash);
    typed!(set, set_or_new, Set, Set);
    typed!(zset, zset_or_new, ZSet, ZSet);
    typed!(string, string_or_new, Str, Vec<u8>);

    pub(crate) fn len(&self) -> usize {
        self.keys.len()
    }

    /// Keys that have a deadline.
    pub(crate) fn expiring(&self) -> usize {
        self.deadlines.len()
    }

    /// Runs one command whose arity was checked, and appends exactly one reply.
    pub(crate) fn execute(&mut self, op: Op, args: Args<'_>, x: &mut Exec<'_>) {
        let start = x.out.len();
        if let Err(Fail(text)) = self.dispatch(op, args, x) {
            x.out.truncate(start);
            reply::error(x.out, text);
        }
    }

    fn dispatch(&mut self, op: Op, args: Args<'_>, x: &mut Exec<'_>) -> Result<(), Fail> {
        match op {
            Op::Append => self.append(args, x),
            Op::Decr => self.add(args, x, Some(-1)),
            Op::DecrBy => {
                let by = integer(args.at(2))?.checked_neg();
                self.add(
                    args,
                    x,
                    Some(by.ok_or(Fail::text("ERR decrement would overflow"))?),
                )
            }
            Op::Get => self.get(args, x),
            Op::GetAny => self.get(args, x).or_else(|_| {
                reply::nil(x.out);
                Ok(())
            }),
            Op::Incr => self.add(args, x, Some(1)),
            Op::IncrBy => self.add(args, x, None),
            Op::Set => self.set_string(args, x),
            Op::StrLen => self.strlen(args, x),

            Op::DbSize => self.dbsize(x),
            Op::Del => self.del(args, x),
            Op::Exists => self.exists(args, x),
            Op::Expire => self.expire(args, x, "expire", 1000, x.now),
            Op::ExpireAt => self.expire(args, x, "expireat", 1000, 0),
            Op::PExpire => self.expire(args, x, "pexpire", 1, x.now),
            Op::PExpireAt => self.expire(args, x, "pexpireat", 1, 0),
            Op::Flush => self.flush(args, x),
            Op::Keys => self.matching(args, x),
            Op::PTtl => self.ttl(args, x, 1),
            Op::Ttl => self.ttl(args, x, 1000),
            Op::Persist => self.persist(args, x),
            Op::Scan => self.scan(args, x),
            Op::Type => self.kind(args, x),

            Op::LLen => self.llen(args, x),
            Op::LPop => self.pop(args, x, List::pop_front),
            Op::RPop => self.pop(args, x, List::pop_back),
            Op::LPush => self.push(args, x, List::push_front),
            Op::RPush => self.push(args, x, List::push_back),
            Op::LRange => self.lrange(args, x),
            Op::HDel => self.hdel(args, x),
            Op::HGet => self.hget(args, x),
            Op::HGetAll => self.hgetall(args, x),
            Op::HLen => self.hlen(args, x),
            Op::HSet => self.hset(args, x),
            Op::SAdd => self.sadd(args, x),
            Op::SCard => self.scard(args, x),
            Op::SIsMember => self.sismember(args, x),
            Op::SMembers => self.smembers(args, x),
            Op::SPop => self.spop(args, x),
            Op::SRem => self.srem(args, x),

            Op::ZAdd => self.zadd(args, x),
            Op::ZCard => self.zcard(args, x),
            Op::ZPopMin => self.zpopmin(args, x),
            Op::ZScore => self.zscore(args, x),
        }
    }

    /// The entry of a key that is there and alive.
    fn find(&mut self, key: &[u8], x: &mut Exec<'_>) -> Option<&mut Entry> {
        let at = self.keys.get_index_of(key)?;
        if x.is_past(self.keys[at].deadline) {
            self.remove(key);
            x.log(key, [&b"DEL"[..], key].into_iter());
            return None;
        }
        Some(&mut self.keys[at])
    }

    fn remove(&mut self, key: &[u8]) -> Option<Entry> {
        let (key, entry) = self.keys.swap_remove_entry(key)?;
        if entry.deadline != 0 {
            self.deadlines.remove(&(entry.deadline, key));
        }
        Some(entry)
    }

    fn remove_if_empty(&mut self, key: &[u8]) {
        if self
            .keys
            .get(key)
            .is_some_and(|entry| entry.value.is_empty_collection())
        {
            self.remove(key);
        }
    }

    /// Gives an existing key a deadline, or takes it away (0).
    fn set_deadline(&mut self, key: &[u8], deadline: u64) {
        let Some(entry) = self.keys.get_mut(key) else {
            return;
        };
        if entry.deadline == deadline {
            return;
        }
        let before = std::mem::replace(&mut entry.deadline, deadline);
        if before != 0 {
            self.deadlines.remove(&(before, key.into()));
        }
        if deadline != 0 {
            self.deadlines.insert((deadline, key.into()));
        }
    }

    /// Removes at most `limit` keys whose time is over and tells how many they were.
    pub(crate) fn expire_due(&mut self, now: u64, limit: usize, log: &mut Vec<u8>) -> usize {
        let mut removed = 0;
        while removed < limit {
            match self.deadlines.first() {
                Some((deadline, _)) if *deadline <= now => {}
                _ => break,
            }
            let Some((_, key)) = self.deadlines.pop_first() else {
                break;
            };
            self.keys.swap_remove(&key);
            log::append(log, KeyHash::of(&key), [&b"DEL"[..], &key].into_iter());
            removed += 1;
        }
        removed
    }

    /// A random number below `bound` (xorshift: for choosing set members, nothing secret).
    fn random_below(&mut self, bound: usize) -> usize {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random % bound as u64) as usize
    }
}

fn integer(text: &[u8]) -> Result<i64, Fail> {
    parse_i64(text).ok_or(Fail::NOT_INTEGER)
}

/// The optional count of `LPOP`, `SPOP`, `ZPOPMIN`.
fn pop_count(args: Args<'_>) -> Result<Option<usize>, Fail> {
    match args.len() {
        2 => Ok(None),
        3 => {
            let count = parse_i64(args.at(2)).ok_or(Fail::NOT_POSITIVE)?;
            usize::try_from(count)
                .map(Some)
                .map_err(|_| Fail::NOT_POSITIVE)
        }
        _ => Err(Fail::SYNTAX),
    }
}

#[cfg(test)]
mod tests;
