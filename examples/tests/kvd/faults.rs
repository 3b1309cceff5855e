//! Crashes: of a shard, of the log's actor, of pub/sub, of the whole process; and a full disk.

use std::process::Command;
use std::sync::Arc;

use tempfile::TempDir;

use super::daemon::{Daemon, kvd};
use super::load::{Load, check};

#[test]
fn a_crashing_shard_loses_no_acknowledged_write() {
    for fsync in ["always", "no"] {
        let daemon = Daemon::start(&["--fsync", fsync, "--shards", "2"]);
        let load = Load::start(&daemon, 4);
        let mut raw = daemon.raw();
        for round in 0..4 {
            load.progress.wait_for(500);
            let shard = round % 2;
            let reply = raw.ask(&format!("DEBUG PANIC {shard}"));
            assert!(
                reply.starts_with(&format!("-ERR {shard} crashed as asked")),
                "{reply}"
            );
        }
        load.progress.wait_for(500);
        let told = load.finish();
        check(&daemon, &told);
        assert_eq!(incarnations(&daemon), [3, 3]);
    }
}

/// How often each shard was started, from `INFO`.
fn incarnations(daemon: &Daemon) -> Vec<u64> {
    let info: String = redis::cmd("INFO")
        .query(&mut daemon.client())
        .expect("INFO");
    let shards = info.lines().filter(|line| line.starts_with("shard"));
    shards
        .map(|line| {
            line.rsplit_once('=')
                .expect("=")
                .1
                .parse()
                .expect("a number")
        })
        .collect()
}

#[test]
fn a_shard_rebuilds_values_of_every_kind() {
    let daemon = Daemon::start(&["--shards", "1"]);
    let mut raw = daemon.raw();
    for line in [
        "SET s 1",
        "APPEND s x",
        "RPUSH l a b",
        "HSET h f v",
        "SADD m x y",
        "ZADD z 2 b 1 a",
        "SET t v EX 1000",
        "SET gone v",
        "DEL gone",
        "SPOP m",
    ] {
        raw.send(format!("{line}\r\n"));
    }
    // Until all are answered, in the order sent.
    while raw.ask("PING") != "+PONG" {}
    while !raw.ask("ECHO before").starts_with("$6") {}
    assert_eq!(raw.line(), "before");
    raw.ask("DEBUG PANIC 0");
    let mut client = daemon.client();
    let get = |name: &str, args: &[&str], client: &mut redis::Connection| {
        redis::cmd(name)
            .arg(args)
            .query::<redis::Value>(client)
            .expect("a reply")
    };
    let text = |value| redis::from_redis_value::<Vec<String>>(value).expect("strings");
    assert_eq!(
        text(get("MGET", &["s", "gone"], &mut client).clone_nil_as_empty()),
        ["1x", ""]
    );
    assert_eq!(
        text(get("LRANGE", &["l", "0", "-1"], &mut client)),
        ["a", "b"]
    );
    assert_eq!(text(get("HGETALL", &["h"], &mut client)), ["f", "v"]);
    assert_eq!(text(get("SMEMBERS", &["m"], &mut client)).len(), 1);
    assert_eq!(
        text(get("ZPOPMIN", &["z", "2"], &mut client)),
        ["a", "1", "b", "2"]
    );
    let ttl: i64 = redis::cmd("TTL").arg("t").query(&mut client).expect("TTL");
    assert!((990..=1000).contains(&ttl), "{ttl}");
}

/// `MGET`'s nils as empty strings, so that one type fits all.
trait NilAsEmpty {
    fn clone_nil_as_empty(self) -> Self;
}

impl NilAsEmpty for redis::Value {
    fn clone_nil_as_empty(self) -> Self {
        match self {
            Self::Nil => Self::BulkString(Vec::new()),
            Self::Array(items) => {
                Self::Array(items.into_iter().map(Self::clone_nil_as_empty).collect())
            }
            other => other,
        }
    }
}

#[test]
fn a_shard_that_crashes_again_and_again_ends_the_daemon() {
    let mut daemon = Daemon::start(&["--shards", "1"]);
    let mut raw = daemon.raw();
    while !raw.ask("DEBUG PANIC 0").is_empty() {}
    let (status, said) = daemon.wait();
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(said.contains("kvd: gave up"), "{said}");
}

#[test]
fn a_crash_of_the_log_actor_loses_no_acknowledged_write() {
    let mut daemon = Daemon::start(&["--fsync", "always", "--shards", "2"]);
    let load = Load::start(&daemon, 4);
    let mut raw = daemon.raw();
    for _ in 0..3 {
        load.progress.wait_for(500);
        let reply = raw.ask("DEBUG PANIC aof");
        assert!(reply.starts_with("-ERR aof crashed as asked"), "{reply}");
    }
    load.progress.wait_for(500);
    let told = load.finish();
    check(&daemon, &told);
    // What is in memory is what is in the file.
    daemon.kill();
    let daemon = Daemon::start_in(daemon.dir(), &["--shards", "3"]);
    check(&daemon, &told);
}

#[test]
fn kill_9_under_load_loses_no_acknowledged_write() {
    let mut dir = Arc::new(TempDir::new().expect("a folder"));
    let mut told = Vec::new();
    for round in 0..3 {
        let mut daemon = Daemon::start_in(dir, &["--fsync", "always"]);
        check(&daemon, &told);
        assert_eq!(daemon.raw().ask("FLUSHDB"), "+OK");
        let load = Load::start(&daemon, 6);
        load.progress.wait_for(1000 + round * 777);
        daemon.kill();
        told = load.finish();
        dir = daemon.dir();
    }
    check(&Daemon::start_in(dir, &[]), &told);
}

/// A killed process can't show it, since what it wrote outlives it: the count of syncs does.
#[test]
fn with_fsync_always_each_lone_write_is_synced_before_its_answer() {
    let daemon = Daemon::start(&["--fsync", "always"]);
    let mut client = daemon.client();
    let mut raw = daemon.raw();
    for written in 1..=20 {
        assert_eq!(raw.ask(&format!("SET k{written} v")), "+OK");
        let info: String = redis::cmd("INFO").query(&mut client).expect("INFO");
        let syncs = info
            .lines()
            .find_map(|line| line.strip_prefix("aof_syncs:"));
        assert_eq!(syncs, Some(written.to_string().as_str()));
    }
}

/// The limit on a file's size stands for a full disk: the write fails, then fits again.
#[test]
fn a_full_disk_refuses_writes_and_serves_again_once_there_is_room() {
    if !Command::new("prlimit")
        .arg("--version")
        .output()
        .is_ok_and(|out| out.status.success())
    {
        eprintln!("skipped: prlimit is not installed");
        return;
    }
    for fsync in ["always", "everysec"] {
        let mut shell = Command::new("sh");
        // The signal that comes with the limit is ignored: the write then fails, as on a full disk.
        shell.args(["-c", "trap '' XFSZ; ulimit -S -f 64; exec \"$0\" \"$@\""]);
        shell.arg(kvd().get_program());
        let dir = Arc::new(TempDir::new().expect("a folder"));
        let mut daemon = Daemon::launch(shell, dir, &["--fsync", fsync]);
        let mut raw = daemon.raw();
        let value = "v".repeat(1000);
        let mut written = 0;
        let refusal = loop {
            let reply = raw.ask(&format!("SET k{written} {value}"));
            if reply != "+OK" {
                break reply;
            }
            written += 1;
        };
        assert!(
            refusal.starts_with("-MISCONF Errors writing to the AOF file: "),
            "{refusal}"
        );
        assert!((20..70).contains(&written), "{written}");
        daemon.wait_for_line("writes are refused");
        assert!(
            raw.ask("SET other 1").starts_with("-MISCONF"),
            "all writes are refused"
        );
        assert_eq!(raw.ask("GET k0"), "$1000", "reads are served");
        raw.line();
        let pid = daemon.pid().to_string();
        let grow = Command::new("prlimit")
            .args(["--pid", &pid, "--fsize=unlimited:unlimited"])
            .status();
        assert!(grow.expect("prlimit").success());
        daemon.wait_for_line("the log can be written again");
        assert_eq!(raw.ask("SET other 2"), "+OK");
        daemon.kill();
        let daemon = Daemon::start_in(daemon.dir(), &[]);
        let mut raw = daemon.raw();
        for key in (0..written)
            .map(|i| format!("k{i}"))
            .chain(["other".to_owned()])
        {
            assert!(
                raw.ask(&format!("GET {key}")).starts_with("$1"),
                "{key} was acknowledged"
            );
            raw.line();
        }
    }
}

#[test]
fn a_crash_of_pubsub_hangs_up_on_subscribers_and_serves_new_ones() {
    let daemon = Daemon::start(&[]);
    let mut subscriber = daemon.raw();
    assert_eq!(subscriber.ask("SUBSCRIBE news"), "*3");
    (0..5).for_each(|_| drop(subscriber.line()));
    let mut raw = daemon.raw();
    assert!(
        raw.ask("DEBUG PANIC pubsub")
            .starts_with("-ERR pubsub crashed as asked")
    );
    subscriber.expect_end();
    let mut again = daemon.raw();
    assert_eq!(again.ask("SUBSCRIBE news"), "*3");
    (0..5).for_each(|_| drop(again.line()));
    assert_eq!(raw.ask("PUBLISH news x"), ":1");
    assert_eq!(again.line(), "*3");
}

#[test]
fn debug_panic_names_what_it_takes() {
    let daemon = Daemon::start(&["--shards", "2"]);
    let mut raw = daemon.raw();
    for line in [
        "DEBUG PANIC 2",
        "DEBUG PANIC",
        "DEBUG PANIC x",
        "DEBUG SLEEP 1",
        "DEBUG PANIC -1",
    ] {
        assert_eq!(
            raw.ask(line),
            "-ERR DEBUG takes PANIC and 0..1, aof or pubsub",
            "{line}"
        );
    }
}
