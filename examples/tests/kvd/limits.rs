//! Input that is garbage, too large, too slow or half there; output that is not read. Each is
//! answered or hung up on, and memory stays bounded.

use super::daemon::{Daemon, Raw};

#[test]
fn garbage_is_answered_with_an_error_and_a_hang_up() {
    let daemon = Daemon::start(&[]);
    for (bytes, reply) in [
        (
            &b"*x\r\n"[..],
            "-ERR Protocol error: invalid multibulk length",
        ),
        (
            b"*1\r\n:3\r\n",
            "-ERR Protocol error: expected '$', got ':'",
        ),
        (b"*1\r\n$-5\r\n", "-ERR Protocol error: invalid bulk length"),
        (
            b"*2000000\r\n",
            "-ERR Protocol error: invalid multibulk length",
        ),
        (
            b"*1\r\n$4\r\nPINGxx",
            "-ERR Protocol error: expected CRLF after a bulk string",
        ),
        (
            b"SET a \"b\r\n",
            "-ERR Protocol error: unbalanced quotes in request",
        ),
    ] {
        let mut raw = daemon.raw();
        // What came before is still answered.
        raw.send([b"PING\r\n", bytes].concat());
        assert_eq!(raw.line(), "+PONG");
        assert_eq!(raw.line(), reply);
        raw.expect_end();
    }
    let mut raw = daemon.raw();
    raw.send([0_u8, 159, 146, 150, b'\n'].repeat(10));
    assert!(raw.line().starts_with("-ERR unknown command"));
    assert_eq!(daemon.raw().ask("PING"), "+PONG");
}

#[test]
fn random_bytes_never_end_the_daemon() {
    let daemon = Daemon::start(&["--max-bulk", "1kb"]);
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = move || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random
    };
    let pieces: [&[u8]; 12] = [
        b"*",
        b"$",
        b"\r\n",
        b"1",
        b"3",
        b"SET",
        b"GET ",
        b"a",
        b"\"",
        b"*3\r\n$3\r\nSET\r\n",
        b"$1\r\na\r\n",
        b"\x00\xff",
    ];
    for _ in 0..200 {
        let mut raw = daemon.raw();
        let count = next() % 60;
        let bytes: Vec<u8> = (0..count)
            .flat_map(|_| pieces[(next() % 12) as usize].to_vec())
            .collect();
        raw.try_send(&bytes);
        let _ = raw.socket().shutdown(std::net::Shutdown::Write);
        raw.rest();
    }
    assert_eq!(daemon.raw().ask("PING"), "+PONG");
}

#[test]
fn a_browser_is_hung_up_on() {
    let daemon = Daemon::start(&[]);
    let mut raw = daemon.raw();
    raw.send("POST / HTTP/1.1\r\nHost: localhost\r\n\r\nSET a 1\r\n");
    raw.expect_end();
    assert_eq!(daemon.raw().ask("EXISTS a"), ":0");
}

#[test]
fn what_is_too_large_is_refused_before_it_is_sent() {
    let daemon = Daemon::start(&["--max-bulk", "64kb"]);
    let mut raw = daemon.raw();
    raw.send("*3\r\n$3\r\nSET\r\n$1\r\na\r\n$65537\r\n");
    assert_eq!(raw.line(), "-ERR Protocol error: invalid bulk length");
    raw.expect_end();
    let mut raw = daemon.raw();
    raw.try_send("x".repeat(70_000));
    assert_eq!(raw.line(), "-ERR Protocol error: too big inline request");
    let mut raw = daemon.raw();
    let value = "v".repeat(65_536);
    raw.send(format!(
        "*3\r\n$3\r\nSET\r\n$1\r\na\r\n$65536\r\n{value}\r\n"
    ));
    assert_eq!(raw.line(), "+OK");
    assert_eq!(
        raw.ask("APPEND a x"),
        "-ERR string exceeds maximum allowed size (proto-max-bulk-len)"
    );
    // Many arguments, each of them allowed, are limited too.
    let mut raw = daemon.raw();
    raw.send("*100000\r\n");
    let argument = format!("$65536\r\n{value}\r\n");
    while raw.try_send(&argument) {}
    assert_eq!(daemon.raw().ask("PING"), "+PONG");
}

#[test]
fn a_half_sent_request_is_given_up_after_its_time() {
    let daemon = Daemon::start(&["--request-within", "0.2"]);
    let mut idle = daemon.raw();
    assert_eq!(idle.ask("PING"), "+PONG");
    let mut raw = daemon.raw();
    raw.send("*2\r\n$4\r\nECHO\r\n$5\r\nhal");
    assert_eq!(
        raw.line(),
        "-ERR Protocol error: request not completed in time"
    );
    raw.expect_end();
    assert_eq!(idle.ask("PING"), "+PONG", "an idle client may stay");
}

#[test]
fn a_client_that_leaves_in_the_middle_of_a_request_leaves_nothing() {
    let daemon = Daemon::start(&[]);
    let mut raw = daemon.raw();
    raw.send("SET done 1\r\n*3\r\n$3\r\nSET\r\n$4\r\nhalf\r\n$10\r\n12");
    assert_eq!(raw.line(), "+OK");
    drop(raw);
    assert_eq!(daemon.raw().ask("EXISTS done half"), ":1");
    let alone = || info(&daemon, "connected_clients") == 1;
    daemon.until("its seat is free", || alone().then_some(()));
}

fn info(daemon: &Daemon, field: &str) -> u64 {
    let info: String = redis::cmd("INFO")
        .query(&mut daemon.client())
        .expect("INFO");
    let line = info
        .lines()
        .find(|line| line.starts_with(field))
        .expect("the field");
    line.rsplit_once(':')
        .expect(":")
        .1
        .parse()
        .expect("a number")
}

#[test]
fn a_request_in_single_bytes_is_served() {
    let daemon = Daemon::start(&[]);
    let mut raw = daemon.raw();
    raw.socket().set_nodelay(true).expect("set");
    for byte in b"*2\r\n$4\r\nECHO\r\n$5\r\nhello\r\n" {
        raw.send([*byte]);
    }
    assert_eq!(raw.line(), "$5");
    assert_eq!(raw.line(), "hello");
}

#[test]
fn headers_that_promise_much_cost_nothing() {
    let daemon = Daemon::start(&[]);
    let before = daemon.memory_mib();
    let mut clients: Vec<Raw> = (0..100).map(|_| daemon.raw()).collect();
    for raw in &mut clients {
        assert_eq!(raw.ask("PING"), "+PONG");
        raw.send("*1000000\r\n$536870912\r\nabc");
    }
    // Each is known to have been read when the daemon has its client's next connection served.
    assert_eq!(daemon.raw().ask("PING"), "+PONG");
    assert!(
        daemon.memory_mib() < before + 50,
        "{} MiB",
        daemon.memory_mib()
    );
}

#[test]
fn replies_to_a_client_that_does_not_read_stay_bounded() {
    let daemon = Daemon::start(&[]);
    let mut raw = daemon.raw();
    assert_eq!(raw.ask(&format!("SET big {}", "x".repeat(60_000))), "+OK");
    let before = daemon.memory_mib();
    // 10000 replies of 60 kB are 600 MB.
    raw.socket()
        .set_write_timeout(Some(std::time::Duration::from_millis(500)))
        .expect("set");
    while raw.try_send("GET big\r\n".repeat(1000)) && info(&daemon, "total_commands") < 10_000 {}
    assert!(
        daemon.memory_mib() < before + 60,
        "{} MiB",
        daemon.memory_mib()
    );
    // And in the end, every reply comes.
    assert_eq!(raw.line(), "$60000");
}

#[test]
fn one_client_too_many_is_refused_politely() {
    let daemon = Daemon::start(&["--max-clients", "3"]);
    let mut clients: Vec<Raw> = (0..3).map(|_| daemon.raw()).collect();
    for raw in &mut clients {
        assert_eq!(raw.ask("PING"), "+PONG");
    }
    let mut extra = daemon.raw();
    assert_eq!(extra.line(), "-ERR max number of clients reached");
    extra.expect_end();
    assert_eq!(clients[0].ask("PING"), "+PONG");
    // A seat that is given up is given to the next.
    assert_eq!(clients[1].ask("QUIT"), "+OK");
    clients[1].expect_end();
    daemon.until("a free seat", || {
        let mut raw = daemon.raw();
        (raw.try_send("PING\r\n") && raw.line() == "+PONG").then_some(())
    });
}

#[test]
fn a_client_that_only_closes_its_sending_side_gets_its_replies() {
    let daemon = Daemon::start(&[]);
    let mut raw = daemon.raw();
    raw.send("SET a 1\r\nGET a\r\n");
    raw.socket()
        .shutdown(std::net::Shutdown::Write)
        .expect("shut");
    assert_eq!(String::from_utf8_lossy(&raw.rest()), "+OK\r\n$1\r\n1\r\n");
}
