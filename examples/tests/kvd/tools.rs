//! The unmodified redis-cli and redis-benchmark, where they are installed.

use std::io::Write as _;
use std::process::{Command, Output, Stdio};

use super::daemon::Daemon;

/// The tool, set to talk to the daemon; `None`, with a note, when it is not installed.
fn tool(name: &str, daemon: &Daemon) -> Option<Command> {
    if Command::new(name).arg("--version").output().is_err() {
        eprintln!("skipped: {name} is not installed (apt-get install redis-tools)");
        return None;
    }
    let mut command = Command::new(name);
    command.args(["-h", "127.0.0.1", "-p", &daemon.addr.port().to_string()]);
    Some(command)
}

fn text(out: &Output) -> String {
    assert!(
        out.status.success(),
        "{}",
        String::from_utf8_lossy(&out.stderr)
    );
    String::from_utf8_lossy(&out.stdout).trim_end().to_owned()
}

#[test]
fn redis_cli_runs_commands() {
    let daemon = Daemon::start(&[]);
    for (args, expected) in [
        (&["PING"][..], "PONG"),
        (&["SET", "a", "1"], "OK"),
        (&["INCR", "a"], "2"),
        (&["MSET", "b", "x", "c", "y"], "OK"),
        (&["MGET", "a", "b", "none", "c"], "2\nx\n\ny"),
        (&["HSET", "h", "f", "v"], "1"),
        (&["HGETALL", "h"], "f\nv"),
        (&["TYPE", "h"], "hash"),
        (&["DEL", "a", "b", "c", "h"], "4"),
        (&["DBSIZE"], "0"),
    ] {
        let Some(mut cli) = tool("redis-cli", &daemon) else {
            return;
        };
        assert_eq!(
            text(&cli.args(args).output().expect("runs")),
            expected,
            "{args:?}"
        );
    }
    let Some(mut cli) = tool("redis-cli", &daemon) else {
        return;
    };
    let out = text(&cli.arg("INFO").output().expect("runs"));
    assert!(out.contains("redis_mode:standalone"), "{out}");
    let Some(mut cli) = tool("redis-cli", &daemon) else {
        return;
    };
    // RESP3 is declined; redis-cli says so and goes on with RESP2.
    let out = cli
        .args(["-3", "ECHO", "still here"])
        .output()
        .expect("runs");
    assert!(text(&out).contains("still here"), "{out:?}");
}

#[test]
fn redis_cli_reads_commands_from_a_pipe_and_scans() {
    let daemon = Daemon::start(&[]);
    let Some(mut cli) = tool("redis-cli", &daemon) else {
        return;
    };
    let mut child = cli
        .arg("--pipe")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("runs");
    let mut stdin = child.stdin.take().expect("piped");
    for i in 0..2000 {
        let (key, value) = (format!("key:{i}"), "v");
        write!(
            stdin,
            "*3\r\n$3\r\nSET\r\n${}\r\n{key}\r\n$1\r\n{value}\r\n",
            key.len()
        )
        .expect("sent");
    }
    drop(stdin);
    let out = text(&child.wait_with_output().expect("ends"));
    assert!(out.contains("errors: 0, replies: 2000"), "{out}");
    let Some(mut cli) = tool("redis-cli", &daemon) else {
        return;
    };
    let out = text(
        &cli.args(["--scan", "--pattern", "key:1*"])
            .output()
            .expect("runs"),
    );
    let mut keys: Vec<&str> = out.lines().collect();
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys.len(), 1 + 10 + 100 + 1000);
}

#[test]
fn the_default_run_of_redis_benchmark_has_no_error() {
    let daemon = Daemon::start(&[]);
    for pipeline in ["1", "16"] {
        let Some(mut benchmark) = tool("redis-benchmark", &daemon) else {
            return;
        };
        let args = ["-n", "2000", "-c", "20", "-q", "-r", "100", "-P", pipeline];
        let out = text(&benchmark.args(args).output().expect("runs"));
        assert!(!out.contains("rror"), "{out}");
        for test in [
            "PING_INLINE",
            "PING_MBULK",
            "SET",
            "GET",
            "INCR",
            "LPUSH",
            "RPUSH",
            "LPOP",
            "RPOP",
            "SADD",
            "HSET",
            "SPOP",
            "ZADD",
            "ZPOPMIN",
            "LRANGE_100",
            "LRANGE_600",
            "MSET",
        ] {
            assert!(out.contains(test), "{test} is missing: {out}");
        }
    }
}
