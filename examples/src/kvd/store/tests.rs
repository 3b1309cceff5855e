//! Every command against a bare store, and the property that a log replays to the same data.

use super::*;
use crate::kvd::command::{Route, resolve};
use crate::kvd::resp::Parser;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::io::Cursor;
use std::path::Path;

const NOW: u64 = 1_000_000;

/// A store with a clock and a log.
struct Db {
    store: Store,
    log: Vec<u8>,
    now: u64,
}

impl Db {
    fn new() -> Self {
        Self {
            store: Store::new(Place { index: 0, of: 1 }, 100),
            log: Vec::new(),
            now: NOW,
        }
    }

    /// Runs a line as typed into telnet and gives the reply with blanks for line breaks.
    fn run(&mut self, line: &str) -> String {
        let mut out = Vec::new();
        run_line(
            &mut self.store,
            line,
            self.now,
            &mut out,
            Some(&mut self.log),
        );
        String::from_utf8_lossy(&out)
            .trim_end()
            .replace("\r\n", " ")
    }

    fn check(&mut self, cases: &[(&str, &str)]) {
        for (line, reply) in cases {
            assert_eq!(self.run(line), *reply, "{line}");
        }
    }

    /// What a fresh store makes of the log.
    fn replayed(&self) -> Store {
        let log = [&log::MAGIC[..], &self.log].concat();
        replayed(&log, Place { index: 0, of: 1 })
    }
}

fn replayed(log: &[u8], place: Place) -> Store {
    let (mut contents, len) = (Cursor::new(log), log.len() as u64);
    let loaded = Store::load(&mut contents, len, Path::new("log"), place, 100);
    let (store, scan) = loaded.expect("a log");
    assert_eq!(scan.damage, None);
    store
}

fn run_line(store: &mut Store, line: &str, now: u64, out: &mut Vec<u8>, log: Option<&mut Vec<u8>>) {
    let line = format!("{line}\n");
    let mut parser = Parser::new(512);
    parser
        .parse(line.as_bytes())
        .expect("well quoted")
        .expect("a whole line");
    let args = parser.args(line.as_bytes());
    match resolve(args).map(|spec| spec.route) {
        Ok(
            Route::Key(op) | Route::EachKey { op, .. } | Route::Everyone(op, _) | Route::Cursor(op),
        ) => {
            store.execute(op, args, &mut Exec { now, out, log });
        }
        Ok(Route::Local(_)) => panic!("no shard's command: {line}"),
        Err(text) => reply::error(out, text),
    }
}

/// The data in an order that does not depend on its history.
fn contents(store: &Store) -> BTreeMap<String, String> {
    let text = |bytes: &[u8]| bytes.escape_ascii().to_string();
    let sorted = |mut items: Vec<String>| {
        items.sort();
        items.join(",")
    };
    let of = |entry: &Entry| match &entry.value {
        Value::Str(value) => text(value),
        Value::List(list) => list.iter().map(|v| text(v)).collect::<Vec<_>>().join(","),
        Value::Hash(hash) => sorted(
            hash.iter()
                .map(|(f, v)| format!("{}={}", text(f), text(v)))
                .collect(),
        ),
        Value::Set(set) => sorted(set.iter().map(|m| text(m)).collect()),
        Value::ZSet(zset) => format!("{zset:?}")
            .split("ranks")
            .last()
            .unwrap_or("")
            .to_owned(),
    };
    store
        .keys
        .iter()
        .map(|(k, e)| {
            (
                text(k),
                format!("{} {} {}", e.value.kind(), of(e), e.deadline),
            )
        })
        .collect()
}

const WRONG_TYPE: &str = "-WRONGTYPE Operation against a key holding the wrong kind of value";
const NOT_INTEGER: &str = "-ERR value is not an integer or out of range";

#[test]
fn strings() {
    Db::new().check(&[
        ("GET a", "$-1"),
        ("SET a 1", "+OK"),
        ("GET a", "$1 1"),
        ("SET a 2 NX", "$-1"),
        ("SET b 2 XX", "$-1"),
        ("SET a 2 XX", "+OK"),
        ("SET a 3 GET", "$1 2"),
        ("SET n 1 NX GET", "$-1"),
        ("GET n", "$1 1"),
        ("SET a 3 NX XX", "-ERR syntax error"),
        ("SET a 3 EX", "-ERR syntax error"),
        ("SET a 3 EX 0", "-ERR invalid expire time in 'set' command"),
        ("SET a 3 PX -1", "-ERR invalid expire time in 'set' command"),
        (
            "SET a 3 EX 9223372036854775807",
            "-ERR invalid expire time in 'set' command",
        ),
        ("SET a 3 EX x", NOT_INTEGER),
        ("SET a 3 EX 10 PX 10", "-ERR syntax error"),
        ("INCR a", ":4"),
        ("INCRBY a 10", ":14"),
        ("DECR a", ":13"),
        ("DECRBY a 3", ":10"),
        (
            "INCRBY a 9223372036854775807",
            "-ERR increment or decrement would overflow",
        ),
        (
            "DECRBY a -9223372036854775808",
            "-ERR decrement would overflow",
        ),
        ("GET a", "$2 10"),
        ("INCR fresh", ":1"),
        ("SET s word", "+OK"),
        ("INCR s", NOT_INTEGER),
        ("APPEND s s", ":5"),
        ("APPEND t xy", ":2"),
        ("STRLEN s", ":5"),
        ("STRLEN nothing", ":0"),
        ("GET", "-ERR wrong number of arguments for 'get' command"),
    ]);
    let mut db = Db::new();
    db.run(&format!("SET a {}", "x".repeat(99)));
    let too_long = "-ERR string exceeds maximum allowed size (proto-max-bulk-len)";
    db.check(&[
        ("APPEND a xx", too_long),
        ("APPEND a x", ":100"),
        ("APPEND a x", too_long),
    ]);
}

#[test]
fn lists() {
    Db::new().check(&[
        ("RPUSH l a b c", ":3"),
        ("LPUSH l z y", ":5"),
        ("LRANGE l 0 -1", "*5 $1 y $1 z $1 a $1 b $1 c"),
        ("LRANGE l -2 100", "*2 $1 b $1 c"),
        ("LRANGE l 3 1", "*0"),
        (
            "LRANGE l -9223372036854775808 9223372036854775807",
            "*5 $1 y $1 z $1 a $1 b $1 c",
        ),
        ("LRANGE nothing 0 -1", "*0"),
        ("LRANGE l a 1", NOT_INTEGER),
        ("LPOP l", "$1 y"),
        ("RPOP l 2", "*2 $1 c $1 b"),
        ("LPOP l 0", "*0"),
        ("LPOP l -1", "-ERR value is out of range, must be positive"),
        ("LLEN l", ":2"),
        ("LPOP l 100", "*2 $1 z $1 a"),
        ("EXISTS l", ":0"),
        ("LPOP l", "$-1"),
        ("LPOP l 1", "*-1"),
        ("LLEN l", ":0"),
        ("SET s 1", "+OK"),
        ("LPUSH s 1", WRONG_TYPE),
        ("LLEN s", WRONG_TYPE),
        ("RPUSH l x", ":1"),
        ("GET l", WRONG_TYPE),
        ("INCR l", WRONG_TYPE),
        ("SET l now-a-string", "+OK"),
        ("TYPE l", "+string"),
    ]);
}

#[test]
fn hashes() {
    Db::new().check(&[
        ("HSET h a 1 b 2", ":2"),
        ("HSET h a 3 c 4", ":1"),
        (
            "HSET h a",
            "-ERR wrong number of arguments for 'hset' command",
        ),
        (
            "HSET h a 1 b",
            "-ERR wrong number of arguments for 'hset' command",
        ),
        ("HGET h a", "$1 3"),
        ("HGET h x", "$-1"),
        ("HGET nothing x", "$-1"),
        ("HGETALL h", "*6 $1 a $1 3 $1 b $1 2 $1 c $1 4"),
        ("HLEN h", ":3"),
        ("HDEL h a x", ":1"),
        ("HDEL h b c", ":2"),
        ("EXISTS h", ":0"),
        ("HGETALL h", "*0"),
        ("HDEL h a", ":0"),
        ("SADD s 1", ":1"),
        ("HGET s 1", WRONG_TYPE),
    ]);
}

#[test]
fn sets() {
    let mut db = Db::new();
    db.check(&[
        ("SADD s a b a", ":2"),
        ("SADD s b c", ":1"),
        ("SMEMBERS s", "*3 $1 a $1 b $1 c"),
        ("SISMEMBER s a", ":1"),
        ("SISMEMBER s x", ":0"),
        ("SREM s a x", ":1"),
        ("SCARD s", ":2"),
        ("SPOP s -1", "-ERR value is out of range, must be positive"),
        ("SPOP s 0", "*0"),
        ("SPOP nothing", "$-1"),
        ("SPOP nothing 3", "*0"),
    ]);
    assert!(db.run("SPOP s 9").starts_with("*2 "));
    db.check(&[
        ("EXISTS s", ":0"),
        ("SMEMBERS s", "*0"),
        ("SADD s z", ":1"),
        ("SPOP s", "$1 z"),
    ]);
}

#[test]
fn sorted_sets() {
    Db::new().check(&[
        ("ZADD z 2 b 1 a 3 c", ":3"),
        ("ZADD z 5 a", ":0"),
        ("ZADD z CH 6 a 7 d", ":2"),
        ("ZSCORE z a", "$1 6"),
        ("ZADD z NX 1 a", ":0"),
        ("ZADD z XX 1 new", ":0"),
        ("ZADD none XX 1 new", ":0"),
        ("EXISTS none", ":0"),
        ("ZADD z GT CH 1 a", ":0"),
        ("ZADD z LT CH 1.5 a", ":1"),
        ("ZADD z INCR 1 a", "$3 2.5"),
        ("ZADD z NX INCR 1 a", "$-1"),
        (
            "ZADD z NX XX 1 a",
            "-ERR XX and NX options at the same time are not compatible",
        ),
        (
            "ZADD z INCR 1 a 2 b",
            "-ERR INCR option supports a single increment-element pair",
        ),
        ("ZADD z x a", "-ERR value is not a valid float"),
        ("ZADD z nan a", "-ERR value is not a valid float"),
        (
            "ZADD z 1",
            "-ERR wrong number of arguments for 'zadd' command",
        ),
        ("ZADD z 1 a 2", "-ERR syntax error"),
        ("ZCARD z", ":4"),
        ("ZPOPMIN z", "*2 $1 b $1 2"),
        ("ZPOPMIN z 2", "*4 $1 a $3 2.5 $1 c $1 3"),
        ("ZPOPMIN z 9", "*2 $1 d $1 7"),
        ("EXISTS z", ":0"),
        ("ZPOPMIN z", "*0"),
        ("ZADD z inf a -inf b 1e300 c 0.000001 d -0 e", ":5"),
        (
            "ZPOPMIN z 9",
            "*10 $1 b $4 -inf $1 e $1 0 $1 d $4 1e-6 $1 c $6 1e+300 $1 a $3 inf",
        ),
        ("ZADD z inf a", ":1"),
        (
            "ZADD z INCR -inf a",
            "-ERR resulting score is not a number (NaN)",
        ),
    ]);
    // Equal scores: by bytes.
    Db::new().check(&[
        ("ZADD z 1 b 1 a 1 ab", ":3"),
        ("ZPOPMIN z 9", "*6 $1 a $1 1 $2 ab $1 1 $1 b $1 1"),
    ]);
}

#[test]
fn keys_of_any_kind() {
    let mut db = Db::new();
    db.check(&[
        ("MSET a 1", "+OK"),
        ("RPUSH l 1", ":1"),
        ("TYPE a", "+string"),
        ("TYPE l", "+list"),
        ("TYPE none", "+none"),
        ("DBSIZE", ":2"),
        ("EXISTS a", ":1"),
        ("MGET l", "$-1"),
        ("KEYS ?", "*2 $1 a $1 l"),
        ("KEYS x*", "*0"),
        ("DEL a", ":1"),
        ("DEL a", ":0"),
        ("UNLINK l", ":1"),
        ("SET b 1", "+OK"),
        ("FLUSHDB now", "-ERR syntax error"),
        ("FLUSHDB 0 1", "-ERR syntax error"),
        ("FLUSHDB ASYNC", "+OK"),
        ("DBSIZE", ":0"),
        ("FLUSHALL", "+OK"),
        (
            "nonsense",
            "-ERR unknown command 'nonsense', with args beginning with:",
        ),
    ]);
}

#[test]
fn deadlines() {
    let mut db = Db::new();
    db.check(&[
        ("SET a 1 PX 1500", "+OK"),
        ("TTL a", ":2"),
        ("PTTL a", ":1500"),
        ("EXPIRE a 100", ":1"),
        ("TTL a", ":100"),
        ("PERSIST a", ":1"),
        ("PERSIST a", ":0"),
        ("TTL a", ":-1"),
        ("PTTL none", ":-2"),
        ("EXPIRE none 1", ":0"),
        (
            "EXPIRE a 9223372036854775807",
            "-ERR invalid expire time in 'expire' command",
        ),
        ("PEXPIRE a 200", ":1"),
        ("SET a 2 KEEPTTL", "+OK"),
        ("PTTL a", ":200"),
        ("SET a 3", "+OK"),
        ("PTTL a", ":-1"),
        ("PEXPIRE a 200", ":1"),
        ("SET b 1", "+OK"),
        ("EXPIRE b -1", ":1"),
        ("EXISTS b", ":0"),
        ("RPUSH l 1 2", ":2"),
        ("PEXPIREAT l 1000300", ":1"),
    ]);
    db.now += 199;
    db.check(&[("GET a", "$1 3"), ("PTTL a", ":1")]);
    db.now += 1;
    db.check(&[
        ("GET a", "$-1"),
        ("DBSIZE", ":1"),
        ("KEYS *", "*1 $1 l"),
        ("APPEND a x", ":1"),
    ]);
    db.now += 100;
    db.check(&[
        ("KEYS *", "*1 $1 a"),
        ("SCAN 0", "*2 $1 0 *1 $1 a"),
        ("DBSIZE", ":2"),
    ]);
    assert_eq!(db.store.expire_due(db.now, 10, &mut db.log), 1);
    db.check(&[("DBSIZE", ":1"), ("TTL a", ":-1")]);
    assert_eq!(db.store.expiring(), 0);
}

#[test]
fn due_keys_are_removed_soonest_first_and_no_more_than_asked() {
    let mut db = Db::new();
    for i in (0..10).rev() {
        db.run(&format!("SET k{i} v PX {}", i + 1));
    }
    db.now += 8;
    assert_eq!(db.store.expire_due(db.now, 5, &mut db.log), 5);
    assert_eq!(db.store.expire_due(db.now, 5, &mut db.log), 3);
    assert_eq!(db.store.expire_due(db.now, 5, &mut db.log), 0);
    assert_eq!(db.store.len(), 2);
    assert_eq!(contents(&db.replayed()), contents(&db.store));
}

/// The value was appended to before its key died: a replay, long after, must not append to nothing.
#[test]
fn a_replay_after_the_deadline_makes_no_ghost_of_a_dead_key() {
    let mut db = Db::new();
    db.check(&[("SET a x PX 100", "+OK"), ("APPEND a y", ":2")]);
    let mut replayed = db.replayed();
    assert_eq!(contents(&replayed), contents(&db.store));
    let mut out = Vec::new();
    run_line(&mut replayed, "GET a", NOW + 100, &mut out, None);
    assert_eq!(out, reply::NIL);
}

#[test]
fn a_flush_record_empties_only_what_its_shard_had() {
    let mut log = log::MAGIC.to_vec();
    let mut shards: Vec<Store> = (0..3)
        .map(|index| Store::new(Place { index, of: 3 }, 100))
        .collect();
    let keys: Vec<String> = (0..50).map(|i| format!("k{i}")).collect();
    let mut run = |line: &str, shard: usize| {
        run_line(
            &mut shards[shard],
            line,
            NOW,
            &mut Vec::new(),
            Some(&mut log),
        );
    };
    let shard_of = |key: &str, of| KeyHash::of(key.as_bytes()).shard(of);
    keys.iter()
        .for_each(|key| run(&format!("SET {key} v"), shard_of(key, 3)));
    run("FLUSHDB", 1);
    for of in 1..5 {
        for index in 0..of {
            let store = replayed(&log, Place { index, of });
            let mut expected: Vec<&String> = keys
                .iter()
                .filter(|key| shard_of(key, of) == index && shard_of(key, 3) != 1)
                .collect();
            expected.sort();
            let found = contents(&store);
            assert_eq!(
                found.keys().collect::<Vec<_>>(),
                expected,
                "shard {index} of {of}"
            );
        }
    }
}

/// Walks a scan to its end while `disturb` changes the keys, and counts how often each was seen.
fn scan_all(db: &mut Db, count: usize, mut disturb: impl FnMut(&mut Db)) -> BTreeMap<String, u32> {
    let (mut cursor, mut seen) = ("0".to_owned(), BTreeMap::new());
    loop {
        let reply = db.run(&format!("SCAN {cursor} COUNT {count}"));
        let words: Vec<&str> = reply.split(' ').collect();
        cursor = words[2].to_owned();
        for key in words[4..].iter().skip(1).step_by(2) {
            *seen.entry((*key).to_owned()).or_default() += 1;
        }
        if cursor == "0" {
            return seen;
        }
        disturb(db);
    }
}

#[test]
fn scan_finds_each_key_once_when_nothing_changes() {
    let mut db = Db::new();
    for i in 0..100 {
        db.run(&format!("SET k{i} v"));
    }
    let seen = scan_all(&mut db, 7, |_| ());
    assert_eq!(seen.len(), 100);
    assert!(seen.values().all(|&times| times == 1));
    db.check(&[
        ("SCAN x", "-ERR invalid cursor"),
        ("SCAN 0 COUNT 0", "-ERR syntax error"),
        ("SCAN 0 MATCH", "-ERR syntax error"),
        ("SCAN 999999999 COUNT 1", "*2 $2 99 *1 $3 k99"),
        ("SCAN 0 COUNT 1000 TYPE list", "*2 $1 0 *0"),
    ]);
    assert!(
        db.run("SCAN 0 COUNT 1000 MATCH k9*")
            .starts_with("*2 $1 0 *11 ")
    );
}

proptest! {
    #[test]
    fn scan_misses_no_key_that_stays(
        removed in proptest::collection::vec(0_usize..60, 0..60), count in 1_usize..9
    ) {
        let mut db = Db::new();
        for i in 0..60 {
            db.run(&format!("SET k{i} v"));
        }
        let mut victims = removed.iter();
        let mut fresh = 0;
        let seen = scan_all(&mut db, count, |db| {
            if let Some(i) = victims.next() {
                db.run(&format!("DEL k{i}"));
                fresh += 1;
                db.run(&format!("SET new{fresh} v"));
            }
        });
        for i in (0..60).filter(|i| !removed.contains(i)) {
            prop_assert!(seen.contains_key(&format!("k{i}")), "k{} was missed", i);
        }
    }

    #[test]
    fn the_log_replays_to_the_same_data(steps in proptest::collection::vec(step(), 0..80)) {
        let mut db = Db::new();
        for (line, later) in steps {
            db.now += later;
            db.run(&line);
        }
        prop_assert_eq!(contents(&db.replayed()), contents(&db.store));
    }

    #[test]
    fn any_words_get_one_reply_and_no_panic(
        name in proptest::sample::select(NAMES),
        words in proptest::collection::vec("[a-c]|-?[0-9]{1,20}|nx|xx|ex|px|match|count|incr|ch|inf", 0..6),
    ) {
        let mut db = Db::new();
        for line in ["SET a 1", "RPUSH b 1 2", "HSET c a 1 b 2"] {
            db.run(line);
        }
        let mut out = Vec::new();
        let line = format!("{name} {}", words.join(" "));
        run_line(&mut db.store, &line, NOW, &mut out, Some(&mut db.log));
        prop_assert!(matches!(out[0], b'+' | b'-' | b':' | b'$' | b'*'));
        prop_assert_eq!(contents(&db.replayed()), contents(&{ let mut fresh = Db::new();
            for line in ["SET a 1", "RPUSH b 1 2", "HSET c a 1 b 2", &line] { fresh.run(line); }
            if name == "spop" { return Ok(()); }
            fresh.store }));
    }
}

const NAMES: &[&str] = &[
    "append",
    "decr",
    "decrby",
    "del",
    "exists",
    "expire",
    "flushdb",
    "get",
    "hdel",
    "hget",
    "hgetall",
    "hset",
    "incr",
    "incrby",
    "keys",
    "llen",
    "lpop",
    "lpush",
    "lrange",
    "persist",
    "pexpire",
    "pttl",
    "rpop",
    "rpush",
    "sadd",
    "scan",
    "set",
    "sismember",
    "smembers",
    "spop",
    "srem",
    "strlen",
    "ttl",
    "type",
    "zadd",
    "zcard",
    "zpopmin",
    "zscore",
];

/// A write on one of few keys, and how much later it comes.
fn step() -> impl Strategy<Value = (String, u64)> {
    let key = || "[a-c]";
    let word = || "[x-z]";
    let line = prop_oneof![
        (key(), word()).prop_map(|(k, w)| format!("SET {k} {w}")),
        (key(), 1..50).prop_map(|(k, n)| format!("SET {k} {n} PX {n}")),
        (key(), word()).prop_map(|(k, w)| format!("SET {k} {w} KEEPTTL")),
        (key(), word()).prop_map(|(k, w)| format!("APPEND {k} {w}")),
        (key(), -5..5).prop_map(|(k, n)| format!("INCRBY {k} {n}")),
        (key(), word()).prop_map(|(k, w)| format!("RPUSH {k} {w} {w}")),
        (key(), 0..3).prop_map(|(k, n)| format!("LPOP {k} {n}")),
        (key(), word(), word()).prop_map(|(k, f, v)| format!("HSET {k} {f} {v}")),
        (key(), word()).prop_map(|(k, f)| format!("HDEL {k} {f}")),
        (key(), word(), word()).prop_map(|(k, a, b)| format!("SADD {k} {a} {b}")),
        (key(), 0..3).prop_map(|(k, n)| format!("SPOP {k} {n}")),
        (key(), word(), -3..3).prop_map(|(k, m, s)| format!("ZADD {k} {s} {m}")),
        (key(), word(), -3..3).prop_map(|(k, m, s)| format!("ZADD {k} INCR {s} {m}")),
        (key(), 0..3).prop_map(|(k, n)| format!("ZPOPMIN {k} {n}")),
        (key(), -5..50).prop_map(|(k, n)| format!("PEXPIRE {k} {n}")),
        key().prop_map(|k| format!("PERSIST {k}")),
        key().prop_map(|k| format!("DEL {k}")),
        Just("FLUSHDB".to_owned()),
    ];
    (line, 0_u64..20)
}
