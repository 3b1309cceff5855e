//! What a `select!` may look like: 64 arms, patterns of every sort, names that ours might shadow.
#![deny(warnings)]

use actor_core::chan::{Receiver, buffered};
use actor_core::select;

struct Point {
    x: u32,
    y: u32,
}

enum Event {
    Moved { to: Point },
    Named(String),
    Nothing,
}

const LIMIT: u32 = 9;

async fn patterns(events: Receiver<Event>, words: Receiver<(u32, String)>) -> u32 {
    let (select, picked, future, kind, arm0) = (1, 2, 3, 4, 5);
    let mut text = String::new();
    let n = select! {
        Some(Event::Moved { to: Point { x, ref y } }) = events.recv() => x + *y,
        Some(Event::Named(mut name)) = async {
            Some(Event::Named("a".into()))
        }, if false => {
            name.push('b');
            text.push_str(&name);
            text.len() as u32
        }
        None = events.recv(), if false => 0,
        Ok(n) | Err(n) = async { Ok::<u32, u32>(1) }, if false => n,
        Some(Event::Nothing) = async { Some(Event::Nothing) }, if false => 0,
        Some((LIMIT, _)) = words.recv(), if false => LIMIT,
        Some((n @ 1..=3, text)) = words.recv() => n + text.len() as u32,
        ref mut n = async { 3 }, if false => { *n += 1; *n }
        (a, [b, .., c]) = async { (1, [2, 3, 4]) }, if false => a + b + c,
        default => if text.is_empty() { select + picked + future + kind + arm0 } else { 0 },
    };
    n
}

async fn strings(words: Receiver<Option<&'static str>>) -> u8 {
    select! {
        Some(Some("stop")) = words.recv() => 1,
        _ = std::future::ready(()), if false => 2,
        else => 3,
    }
}

async fn nested(rx: Receiver<u8>) -> Option<u8> {
    select! {
        v = async { select! { v = rx.recv() => v } } => select! { default => v },
    }
}

macro_rules! receive {
    ($rx:expr, $v:ident => $then:expr) => {
        select! { $v = $rx.recv() => $then }
    };
}

async fn sixty_four() -> u32 {
    select! {
        biased;
        _ = std::future::pending::<()>() => 0,
        _ = std::future::pending::<()>() => 1,
        _ = std::future::pending::<()>() => 2,
        _ = std::future::pending::<()>() => 3,
        _ = std::future::pending::<()>() => 4,
        _ = std::future::pending::<()>() => 5,
        _ = std::future::pending::<()>() => 6,
        _ = std::future::pending::<()>() => 7,
        _ = std::future::pending::<()>() => 8,
        _ = std::future::pending::<()>() => 9,
        _ = std::future::pending::<()>() => 10,
        _ = std::future::pending::<()>() => 11,
        _ = std::future::pending::<()>() => 12,
        _ = std::future::pending::<()>() => 13,
        _ = std::future::pending::<()>() => 14,
        _ = std::future::pending::<()>() => 15,
        _ = std::future::pending::<()>() => 16,
        _ = std::future::pending::<()>() => 17,
        _ = std::future::pending::<()>() => 18,
        _ = std::future::pending::<()>() => 19,
        _ = std::future::pending::<()>() => 20,
        _ = std::future::pending::<()>() => 21,
        _ = std::future::pending::<()>() => 22,
        _ = std::future::pending::<()>() => 23,
        _ = std::future::pending::<()>() => 24,
        _ = std::future::pending::<()>() => 25,
        _ = std::future::pending::<()>() => 26,
        _ = std::future::pending::<()>() => 27,
        _ = std::future::pending::<()>() => 28,
        _ = std::future::pending::<()>() => 29,
        _ = std::future::pending::<()>() => 30,
        _ = std::future::pending::<()>() => 31,
        _ = std::future::pending::<()>() => 32,
        _ = std::future::pending::<()>() => 33,
        _ = std::future::pending::<()>() => 34,
        _ = std::future::pending::<()>() => 35,
        _ = std::future::pending::<()>() => 36,
        _ = std::future::pending::<()>() => 37,
        _ = std::future::pending::<()>() => 38,
        _ = std::future::pending::<()>() => 39,
        _ = std::future::pending::<()>() => 40,
        _ = std::future::pending::<()>() => 41,
        _ = std::future::pending::<()>() => 42,
        _ = std::future::pending::<()>() => 43,
        _ = std::future::pending::<()>() => 44,
        _ = std::future::pending::<()>() => 45,
        _ = std::future::pending::<()>() => 46,
        _ = std::future::pending::<()>() => 47,
        _ = std::future::pending::<()>() => 48,
        _ = std::future::pending::<()>() => 49,
        _ = std::future::pending::<()>() => 50,
        _ = std::future::pending::<()>() => 51,
        _ = std::future::pending::<()>() => 52,
        _ = std::future::pending::<()>() => 53,
        _ = std::future::pending::<()>() => 54,
        _ = std::future::pending::<()>() => 55,
        _ = std::future::pending::<()>() => 56,
        _ = std::future::pending::<()>() => 57,
        _ = std::future::pending::<()>() => 58,
        _ = std::future::pending::<()>() => 59,
        _ = std::future::pending::<()>() => 60,
        _ = std::future::pending::<()>() => 61,
        _ = std::future::pending::<()>() => 62,
        _ = async {} => 63,
    }
}

fn main() {
    actor_core::Runtime::new().unwrap().block_on(async {
        let (events, from_events) = buffered(1);
        let (words, from_words) = buffered(1);
        assert_eq!(patterns(from_events.clone(), from_words.clone()).await, 15);
        words.try_send((2, "ab".to_owned())).unwrap();
        assert_eq!(patterns(from_events.clone(), from_words).await, 4);
        events.try_send(Event::Moved { to: Point { x: 1, y: 2 } }).ok().unwrap();
        let (_words, from_words) = buffered(1);
        assert_eq!(patterns(from_events, from_words).await, 3);
        let (words, from_words) = buffered(1);
        words.try_send(Some("stop")).unwrap();
        assert_eq!(strings(from_words.clone()).await, 1);
        words.try_send(None).unwrap();
        assert_eq!(strings(from_words).await, 3);
        let (tx, rx) = buffered(2);
        tx.try_send(5).unwrap();
        assert_eq!(nested(rx.clone()).await, Some(5));
        tx.try_send(6).unwrap();
        assert_eq!(receive!(rx, v => v), Some(6));
        assert_eq!(sixty_four().await, 63);
    });
}
