//! Publish and subscribe.

use super::daemon::{Daemon, LIMIT, Raw};

fn subscribe(daemon: &Daemon, channels: &str) -> Raw {
    let mut raw = daemon.raw();
    raw.send(format!("SUBSCRIBE {channels}\r\n"));
    for (i, channel) in channels.split(' ').enumerate() {
        assert_eq!(
            words(&mut raw),
            ["subscribe", channel, &(i + 1).to_string()]
        );
    }
    raw
}

/// One array of bulk strings and integers.
fn words(raw: &mut Raw) -> Vec<String> {
    let header = raw.line();
    let len: usize = header
        .strip_prefix('*')
        .expect("an array")
        .parse()
        .expect("its length");
    (0..len)
        .map(|_| match raw.line() {
            line if line.starts_with(':') => line[1..].to_owned(),
            line if line == "$-1" => "nil".to_owned(),
            _ => raw.line(),
        })
        .collect()
}

#[test]
fn the_client_library_subscribes_and_hears() {
    let daemon = Daemon::start(&[]);
    let mut connection = daemon.client();
    let mut pubsub = connection.as_pubsub();
    pubsub.set_read_timeout(Some(LIMIT)).expect("set");
    pubsub.subscribe(&["news", "weather"]).expect("subscribed");
    let mut publisher = daemon.client();
    for (channel, text, reached) in [
        ("news", "one", 1),
        ("sport", "none", 0),
        ("weather", "two", 1),
    ] {
        let n: i64 = redis::cmd("PUBLISH")
            .arg(channel)
            .arg(text)
            .query(&mut publisher)
            .expect("n");
        assert_eq!(n, reached);
    }
    for (channel, text) in [("news", "one"), ("weather", "two")] {
        let message = pubsub.get_message().expect("a message");
        assert_eq!(message.get_channel_name(), channel);
        assert_eq!(message.get_payload::<String>().expect("text"), text);
    }
    pubsub.unsubscribe("news").expect("unsubscribed");
    let n: i64 = redis::cmd("PUBLISH")
        .arg("news")
        .arg("x")
        .query(&mut publisher)
        .expect("n");
    assert_eq!(n, 0);
}

#[test]
fn messages_come_in_order_and_none_after_the_confirmation() {
    let daemon = Daemon::start(&[]);
    let mut subscriber = subscribe(&daemon, "a b");
    let mut publisher = daemon.raw();
    for i in 0..1000 {
        publisher.send(format!("PUBLISH a {i}\r\n"));
    }
    for i in 0..1000 {
        assert_eq!(words(&mut subscriber), ["message", "a", &i.to_string()]);
        assert_eq!(publisher.line(), ":1");
    }
    subscriber.send("UNSUBSCRIBE a\r\n");
    assert_eq!(words(&mut subscriber), ["unsubscribe", "a", "1"]);
    assert_eq!(publisher.ask("PUBLISH a x"), ":0");
    assert_eq!(publisher.ask("PUBLISH b y"), ":1");
    assert_eq!(words(&mut subscriber), ["message", "b", "y"]);
}

#[test]
fn a_subscriber_may_do_little_else_until_it_has_unsubscribed() {
    let daemon = Daemon::start(&[]);
    let mut raw = subscribe(&daemon, "a b");
    assert!(
        raw.ask("GET x")
            .starts_with("-ERR Can't execute 'get': only (P|S)SUBSCRIBE")
    );
    raw.send("PING hello\r\n");
    assert_eq!(words(&mut raw), ["pong", "hello"]);
    raw.send("UNSUBSCRIBE\r\n");
    let mut ended = [words(&mut raw), words(&mut raw)];
    assert_eq!(ended[1][2], "0");
    ended.sort();
    assert_eq!([&ended[0][1], &ended[1][1]], ["a", "b"]);
    assert_eq!(raw.ask("GET x"), "$-1");
    raw.send("UNSUBSCRIBE\r\nUNSUBSCRIBE c\r\n");
    assert_eq!(words(&mut raw), ["unsubscribe", "nil", "0"]);
    assert_eq!(words(&mut raw), ["unsubscribe", "c", "0"]);
    let mut raw = subscribe(&daemon, "a");
    assert_eq!(raw.ask("RESET"), "+RESET");
    assert_eq!(raw.ask("GET x"), "$-1");
    assert_eq!(daemon.raw().ask("PUBLISH a x"), ":0");
}

#[test]
fn a_subscriber_that_leaves_is_forgotten() {
    let daemon = Daemon::start(&[]);
    let subscriber = subscribe(&daemon, "a");
    drop(subscriber);
    let mut publisher = daemon.raw();
    daemon.until("it is forgotten", || {
        (publisher.ask("PUBLISH a x") == ":0").then_some(())
    });
}

#[test]
fn a_slow_subscriber_is_hung_up_on_and_the_others_are_not_held_up() {
    let daemon = Daemon::start(&[]);
    let mut slow = subscribe(&daemon, "a");
    let mut quick = subscribe(&daemon, "a");
    let before = daemon.memory_mib();
    let mut publisher = daemon.raw();
    let payload = "x".repeat(1 << 20);
    let publish = format!(
        "*3\r\n$7\r\nPUBLISH\r\n$1\r\na\r\n${}\r\n{payload}\r\n",
        payload.len()
    );
    let mut published = 0;
    loop {
        publisher.send(&publish);
        let reached = publisher.line();
        published += 1;
        assert_eq!(words(&mut quick)[2].len(), payload.len());
        if reached == ":1" {
            break;
        }
        assert!(published < 200, "the slow subscriber was never dropped");
        assert!(
            daemon.memory_mib() < before + 150,
            "{} MiB",
            daemon.memory_mib()
        );
    }
    // It gets what the sockets held, and the end.
    let got = slow.rest().len();
    assert!(got < published << 20, "{got} bytes");
}
