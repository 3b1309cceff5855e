//! Every command through a client library, over two shards and pipelines.

use redis::{Connection, Value};

use super::daemon::Daemon;

/// Runs a line of words and gives the reply in short: strings as they are, nil, lists in brackets.
fn run(client: &mut Connection, line: &str) -> String {
    let mut words = line.split(' ');
    let mut command = redis::cmd(words.next().expect("a command"));
    words.for_each(|word| {
        command.arg(word);
    });
    match command.query::<Value>(client) {
        Ok(value) => show(&value),
        Err(error) => format!("! {error}"),
    }
}

fn show(value: &Value) -> String {
    match value {
        Value::Nil => "nil".to_owned(),
        Value::Int(n) => n.to_string(),
        Value::BulkString(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        Value::SimpleString(text) => text.clone(),
        Value::Okay => "OK".to_owned(),
        Value::Array(items) => {
            format!("[{}]", items.iter().map(show).collect::<Vec<_>>().join(" "))
        }
        other => format!("{other:?}"),
    }
}

fn check(cases: &[(&str, &str)]) {
    for shards in ["1", "3"] {
        let daemon = Daemon::start(&["--shards", shards]);
        let mut client = daemon.client();
        for (line, expected) in cases {
            assert_eq!(
                run(&mut client, line),
                *expected,
                "{line} with {shards} shards"
            );
        }
    }
}

#[test]
fn strings() {
    check(&[
        ("PING", "PONG"),
        ("PING hello", "hello"),
        ("ECHO hello", "hello"),
        ("GET a", "nil"),
        ("SET a 1", "OK"),
        ("SET a 2 NX", "nil"),
        ("SET b 2 XX", "nil"),
        ("SET a 5 XX", "OK"),
        ("INCR a", "6"),
        ("INCRBY a 4", "10"),
        ("DECR a", "9"),
        ("DECRBY a 9", "0"),
        ("APPEND b xy", "2"),
        ("APPEND b z", "3"),
        ("STRLEN b", "3"),
        ("MSET k1 a k2 b k3 c k4 d", "OK"),
        ("MGET k1 none k4 k2 k3", "[a nil d b c]"),
        ("EXISTS k1 k2 none k1", "3"),
        ("DEL k1 k2 none", "2"),
        ("MGET k1 k3", "[nil c]"),
    ]);
}

#[test]
fn collections() {
    check(&[
        ("RPUSH l a b c", "3"),
        ("LPUSH l z", "4"),
        ("LLEN l", "4"),
        ("LRANGE l 0 -1", "[z a b c]"),
        ("LPOP l", "z"),
        ("RPOP l", "c"),
        ("LPOP l 5", "[a b]"),
        ("LPOP l", "nil"),
        ("HSET h a 1 b 2", "2"),
        ("HGET h a", "1"),
        ("HGET h x", "nil"),
        ("HDEL h a x", "1"),
        ("HGETALL h", "[b 2]"),
        ("SADD s a b b", "2"),
        ("SISMEMBER s a", "1"),
        ("SREM s a x", "1"),
        ("SMEMBERS s", "[b]"),
        ("SPOP s", "b"),
        ("SPOP s", "nil"),
        ("ZADD z 2 b 1 a 3 c", "3"),
        ("ZPOPMIN z", "[a 1]"),
        ("ZPOPMIN z 5", "[b 2 c 3]"),
        ("ZPOPMIN z", "[]"),
        ("MSET s1 1 s2 2", "OK"),
        ("RPUSH l 1", "1"),
        ("MGET s1 l s2", "[1 nil 2]"),
        ("TYPE l", "list"),
    ]);
}

#[test]
fn keys_and_server() {
    check(&[
        ("SET a 1 EX 100", "OK"),
        ("TTL a", "100"),
        ("PERSIST a", "1"),
        ("TTL a", "-1"),
        ("EXPIRE a 50", "1"),
        ("TTL a", "50"),
        ("PEXPIRE a 9000000", "1"),
        ("TTL a", "9000"),
        ("PTTL none", "-2"),
        ("SET b 1", "OK"),
        ("DBSIZE", "2"),
        ("KEYS a*", "[a]"),
        ("TYPE a", "string"),
        ("TYPE none", "none"),
        ("SELECT 0", "OK"),
        ("CONFIG GET save", "[save ]"),
        ("CONFIG GET appendonly", "[appendonly yes]"),
        ("CONFIG GET app*", "[appendfsync everysec appendonly yes]"),
        ("CLIENT SETNAME me", "OK"),
        ("CLIENT GETNAME", "me"),
        ("CLIENT SETINFO lib-name test", "OK"),
        ("COMMAND DOCS get", "[]"),
        ("COMMAND INFO get", "[[get 2 [readonly] 1 1 1]]"),
        ("FLUSHDB", "OK"),
        ("DBSIZE", "0"),
        ("QUIT", "OK"),
    ]);
}

#[test]
fn errors_reach_the_client_as_redis_words_them() {
    let daemon = Daemon::start(&[]);
    let mut raw = daemon.raw();
    raw.ask("RPUSH l 1");
    for (line, reply) in [
        (
            "GET l",
            "-WRONGTYPE Operation against a key holding the wrong kind of value",
        ),
        (
            "INCR l",
            "-WRONGTYPE Operation against a key holding the wrong kind of value",
        ),
        (
            "NOSUCH a b",
            "-ERR unknown command 'NOSUCH', with args beginning with: 'a' 'b'",
        ),
        ("GET", "-ERR wrong number of arguments for 'get' command"),
        (
            "MSET a 1 b",
            "-ERR wrong number of arguments for 'mset' command",
        ),
        ("SET a 1 EX 0", "-ERR invalid expire time in 'set' command"),
        ("SET a 1 NONSENSE", "-ERR syntax error"),
        ("SELECT 1", "-ERR DB index is out of range"),
        ("SCAN x", "-ERR invalid cursor"),
        ("HELLO 3", "-NOPROTO unsupported protocol version"),
        (
            "HELLO x",
            "-ERR Protocol version is not an integer or out of range",
        ),
        (
            "CONFIG SET port 1",
            "-ERR CONFIG SET is not supported: set it on kvd's command line",
        ),
        (
            "AUTH secret",
            "-ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?",
        ),
        ("PING", "+PONG"),
    ] {
        assert_eq!(raw.ask(line), reply, "{line}");
    }
    assert_eq!(raw.ask("HELLO 2"), "*14");
}

#[test]
fn a_pipeline_is_answered_in_its_order_whatever_the_shards() {
    let daemon = Daemon::start(&["--shards", "4"]);
    let mut client = daemon.client();
    let mut pipe = redis::pipe();
    let mut expected = Vec::new();
    for i in 0..2000_i64 {
        pipe.cmd("SET").arg(format!("k{i}")).arg(i);
        expected.push("OK".to_owned());
        pipe.cmd("INCR").arg("same");
        expected.push((i + 1).to_string());
        if i % 7 == 0 {
            pipe.cmd("MGET")
                .arg(format!("k{i}"))
                .arg("same")
                .arg("none")
                .arg("k0");
            expected.push(format!("[{i} {} nil 0]", i + 1));
        }
        if i % 31 == 0 {
            pipe.cmd("PING");
            expected.push("PONG".to_owned());
        }
        if i % 101 == 0 {
            // Must see what came before it in the pipeline.
            pipe.cmd("DBSIZE");
            expected.push((i + 2).to_string());
        }
    }
    let replies: Vec<Value> = pipe.query(&mut client).expect("replies");
    assert_eq!(replies.iter().map(show).collect::<Vec<_>>(), expected);
}

#[test]
fn large_replies_in_one_pipeline_all_come_and_in_order() {
    let daemon = Daemon::start(&["--shards", "3"]);
    let mut client = daemon.client();
    let value = |i: usize| char::from(b'a' + i as u8).to_string().repeat(400_000);
    for i in 0..8 {
        redis::cmd("SET")
            .arg(i)
            .arg(value(i))
            .exec(&mut client)
            .expect("set");
    }
    let mut pipe = redis::pipe();
    for _ in 0..4 {
        (0..8).for_each(|i| {
            pipe.cmd("GET").arg(i);
        });
        pipe.cmd("MGET").arg(&[7, 1, 3]).cmd("INCR").arg("n");
    }
    let replies: Vec<Value> = pipe.query(&mut client).expect("replies");
    let mut replies = replies.iter().map(show);
    for round in 1..=4 {
        for i in 0..8 {
            assert!(replies.next() == Some(value(i)), "GET {i} in round {round}");
        }
        assert!(replies.next() == Some(format!("[{} {} {}]", value(7), value(1), value(3))));
        assert_eq!(replies.next(), Some(round.to_string()));
    }
}

#[test]
fn a_scan_over_all_shards_finds_every_key() {
    let daemon = Daemon::start(&["--shards", "3"]);
    let mut client = daemon.client();
    for i in 0..500 {
        redis::cmd("SET")
            .arg(format!("k{i}"))
            .arg(i)
            .exec(&mut client)
            .expect("set");
    }
    let mut scan = redis::cmd("SCAN");
    scan.cursor_arg(0).arg("COUNT").arg(17);
    let keys = scan.iter::<String>(&mut client).expect("a scan");
    let mut keys: Vec<String> = keys.map(|key| key.expect("a key")).collect();
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), 500);
}

#[test]
fn a_key_whose_time_is_over_is_gone_asked_for_or_not() {
    let daemon = Daemon::start(&["--shards", "2"]);
    let mut raw = daemon.raw();
    for i in 0..20 {
        assert_eq!(raw.ask(&format!("SET k{i} v PX 50")), "+OK");
    }
    // DBSIZE counts what is stored and asks for no key: only the timer removes them.
    daemon.until("the timer has removed them", || {
        (raw.ask("DBSIZE") == ":0").then_some(())
    });
    assert_eq!(raw.ask("SET k v PX 1"), "+OK");
    daemon.until("its time is over", || {
        (raw.ask("EXISTS k") == ":0").then_some(())
    });
    // And it stays gone.
    drop(raw);
    let mut daemon = daemon;
    daemon.kill();
    let daemon = Daemon::start_in(daemon.dir(), &[]);
    assert_eq!(daemon.raw().ask("KEYS *"), "*0");
}

#[test]
fn values_are_bytes() {
    let daemon = Daemon::start(&[]);
    let mut client = daemon.client();
    let bytes: Vec<u8> = (0..=255).cycle().take(5000).collect();
    redis::cmd("SET")
        .arg(&bytes[..300])
        .arg(&bytes)
        .exec(&mut client)
        .expect("set");
    let back: Vec<u8> = redis::cmd("GET")
        .arg(&bytes[..300])
        .query(&mut client)
        .expect("get");
    assert_eq!(back, bytes);
}
