//! SIGTERM and SIGINT: the ordered stop, its deadline, and the second signal.

use rustix::process::Signal;

use super::daemon::{Daemon, Raw};
use super::load::{Load, check};

#[test]
fn sigterm_under_load_exits_0_and_keeps_every_acknowledged_write() {
    for (fsync, signal) in [("no", Signal::TERM), ("everysec", Signal::INT)] {
        let mut daemon = Daemon::start(&["--fsync", fsync]);
        let load = Load::start(&daemon, 4);
        load.progress.wait_for(2000);
        daemon.signal(signal);
        let (status, said) = daemon.wait();
        assert!(status.success(), "{status}: {said}");
        assert!(said.contains("kvd: stopped"), "{said}");
        let told = load.finish();
        for told in &told {
            assert_eq!(told.errors, [""; 0], "a stop is no error");
        }
        let daemon = Daemon::start_in(daemon.dir(), &[]);
        check(&daemon, &told);
    }
}

#[test]
fn what_a_client_has_sent_is_answered_before_the_stop() {
    let mut daemon = Daemon::start(&[]);
    let mut raw = daemon.raw();
    // Small enough to be read at once: the stop finds all of it in flight.
    raw.send("INCR n\r\n".repeat(1000));
    assert_eq!(raw.line(), ":1");
    daemon.signal(Signal::TERM);
    let rest = String::from_utf8(raw.rest()).expect("text");
    let last: usize = rest
        .trim_end()
        .rsplit_once("\r\n:")
        .expect("replies")
        .1
        .parse()
        .expect("n");
    assert!(rest.ends_with("\r\n"), "no half reply");
    let (status, said) = daemon.wait();
    assert!(status.success(), "{status}: {said}");
    let daemon = Daemon::start_in(daemon.dir(), &[]);
    let mut raw = daemon.raw();
    raw.ask("GET n");
    assert_eq!(
        raw.line(),
        last.to_string(),
        "what was done was answered, and is kept"
    );
}

#[test]
fn idle_and_half_sent_clients_do_not_hold_up_a_stop() {
    let mut daemon = Daemon::start(&["--stop-within", "600"]);
    let mut idle: Vec<Raw> = (0..20).map(|_| daemon.raw()).collect();
    for raw in &mut idle {
        assert_eq!(raw.ask("PING"), "+PONG");
        raw.send("*2\r\n$3\r\nGET\r\n$5\r\nab");
    }
    let mut subscriber = daemon.raw();
    assert_eq!(subscriber.ask("SUBSCRIBE news"), "*3");
    (0..5).for_each(|_| drop(subscriber.line()));
    daemon.stop();
    idle.iter_mut()
        .chain([&mut subscriber])
        .for_each(Raw::expect_end);
}

/// A client that asks for more than its socket holds and does not read it.
fn deaf_client(daemon: &Daemon) -> Raw {
    let mut raw = daemon.raw();
    assert_eq!(raw.ask(&format!("SET big {}", "x".repeat(60_000))), "+OK");
    raw.send("GET big\r\n".repeat(1000));
    assert_eq!(raw.line(), "$60000");
    raw
}

#[test]
fn a_client_that_does_not_read_is_cut_off_within_the_deadline() {
    let mut daemon = Daemon::start(&["--stop-within", "1"]);
    let _deaf = deaf_client(&daemon);
    let mut raw = daemon.raw();
    assert_eq!(raw.ask("SET a 1"), "+OK");
    daemon.signal(Signal::TERM);
    let (status, said) = daemon.wait();
    assert!(status.success(), "{status}: {said}");
    assert!(
        said.contains("1 clients do not take their replies and are cut off"),
        "{said}"
    );
    let daemon = Daemon::start_in(daemon.dir(), &[]);
    assert_eq!(daemon.raw().ask("EXISTS a big"), ":2");
}

#[test]
fn a_second_signal_stops_at_once() {
    for (first, second) in [(Signal::TERM, Signal::TERM), (Signal::INT, Signal::TERM)] {
        let mut daemon = Daemon::start(&["--stop-within", "600"]);
        let _deaf = deaf_client(&daemon);
        daemon.signal(first);
        daemon.wait_for_line("stopping; a second signal stops at once");
        daemon.signal(second);
        let (status, said) = daemon.wait();
        assert_eq!(status.code(), Some(1), "{said}");
        assert!(!said.contains("kvd: stopped"), "{said}");
    }
}

#[test]
fn no_new_client_is_served_during_a_stop() {
    let mut daemon = Daemon::start(&["--stop-within", "600"]);
    let deaf = deaf_client(&daemon);
    daemon.signal(Signal::TERM);
    daemon.wait_for_line("stopping");
    daemon.until("the listener is gone", || {
        std::net::TcpStream::connect(daemon.addr)
            .is_err()
            .then_some(())
    });
    // Once it goes away, nothing is in the way.
    drop(deaf);
    let (status, said) = daemon.wait();
    assert!(status.success(), "{status}: {said}");
}
