//! A minimal RESP server on plain tokio: the reference that `kvd` is measured against.
//!
//! What a competent tokio user writes in an afternoon: a task per connection, a map in 64 shards
//! each behind a mutex, no durability, no expiry, no supervision. It answers PING, ECHO, SET (without
//! options), GET, DEL, EXISTS, INCR, CONFIG GET and COMMAND (both empty) and QUIT.
//!
//! Pipelining: all whole requests in the read buffer are answered into one write buffer, which goes
//! out with one write when no whole request is left. A request's words are slices of the read
//! buffer, without a copy until one is stored.
//!
//! ```text
//! cargo run --release -p benches --bin resp_tokio -- [--port N]
//! ```

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const SHARDS: usize = 64;
/// The longest request that is waited for, so that a client can't make the buffer grow for ever.
const REQUEST_MAX: usize = 64 << 20;
const WORDS_MAX: usize = 1 << 16;

struct Store {
    hasher: RandomState,
    shards: Vec<Mutex<HashMap<Bytes, Bytes>>>,
}

impl Store {
    fn new() -> Self {
        let shards = (0..SHARDS).map(|_| Mutex::default()).collect();
        Store {
            hasher: RandomState::new(),
            shards,
        }
    }

    fn shard(&self, key: &[u8]) -> MutexGuard<'_, HashMap<Bytes, Bytes>> {
        let shard = self.hasher.hash_one(key) as usize % SHARDS;
        self.shards[shard].lock().expect("no holder panics")
    }
}

/// A request that is no RESP; the connection ends after the error reply.
#[derive(Debug, PartialEq, Eq)]
struct ProtocolError(&'static str);

/// Finds the `\r\n` that ends the line at `from`; returns where the line ends and the next begins.
fn line_end(input: &[u8], from: usize) -> Option<(usize, usize)> {
    let newline = from + input[from..].iter().position(|byte| *byte == b'\n')?;
    let end = if newline > from && input[newline - 1] == b'\r' {
        newline - 1
    } else {
        newline
    };
    Some((end, newline + 1))
}

fn number(digits: &[u8]) -> Option<usize> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// Finds the first request in `input`: its words' ranges go to `words`; returns its length, or none
/// when it isn't whole yet.
fn request(input: &[u8], words: &mut Vec<(usize, usize)>) -> Result<Option<usize>, ProtocolError> {
    words.clear();
    let Some((end, mut at)) = (if input.is_empty() {
        None
    } else {
        line_end(input, 0)
    }) else {
        return Ok(None);
    };
    if input[0] != b'*' {
        let mut from = 0;
        for word in input[..end].split(|byte| *byte == b' ') {
            if !word.is_empty() {
                words.push((from, from + word.len()));
            }
            from += word.len() + 1;
        }
        return Ok(Some(at));
    }
    let count = number(&input[1..end]).filter(|n| *n <= WORDS_MAX);
    for _ in 0..count.ok_or(ProtocolError("invalid multibulk length"))? {
        if at == input.len() {
            return Ok(None);
        }
        let Some((end, start)) = line_end(input, at) else {
            return Ok(None);
        };
        if input[at] != b'$' {
            return Err(ProtocolError("expected '$'"));
        }
        let length = number(&input[at + 1..end]).filter(|n| *n <= REQUEST_MAX);
        let length = length.ok_or(ProtocolError("invalid bulk length"))?;
        if input.len() < start + length + 2 {
            return Ok(None);
        }
        if &input[start + length..start + length + 2] != b"\r\n" {
            return Err(ProtocolError("bulk does not end where it should"));
        }
        words.push((start, start + length));
        at = start + length + 2;
    }
    Ok(Some(at))
}

fn bulk(out: &mut Vec<u8>, value: &[u8]) {
    out.extend_from_slice(format!("${}\r\n", value.len()).as_bytes());
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

fn integer(out: &mut Vec<u8>, value: i64) {
    out.extend_from_slice(format!(":{value}\r\n").as_bytes());
}

/// Answers one request; false means that the connection should end.
fn answer(store: &Store, words: &[Bytes], out: &mut Vec<u8>) -> bool {
    let Some((name, args)) = words.split_first() else {
        return true;
    };
    let is = |wanted: &str| name.eq_ignore_ascii_case(wanted.as_bytes());
    match args {
        [key] if is("GET") => match store.shard(key).get(key) {
            Some(value) => bulk(out, value),
            None => out.extend_from_slice(b"$-1\r\n"),
        },
        [key, value] if is("SET") => {
            // Copies, so that a stored value doesn't hold on to a whole read buffer.
            let (key, value) = (Bytes::copy_from_slice(key), Bytes::copy_from_slice(value));
            store.shard(&key).insert(key, value);
            out.extend_from_slice(b"+OK\r\n");
        }
        [key] if is("INCR") => {
            let mut shard = store.shard(key);
            let old = shard.get(key).map_or(Some(0), |value| {
                std::str::from_utf8(value).ok()?.parse::<i64>().ok()
            });
            match old.and_then(|old| old.checked_add(1)) {
                Some(new) => {
                    let value = Bytes::from(new.to_string().into_bytes());
                    shard.insert(Bytes::copy_from_slice(key), value);
                    integer(out, new);
                }
                None => out.extend_from_slice(b"-ERR value is not an integer or out of range\r\n"),
            }
        }
        [] if is("PING") => out.extend_from_slice(b"+PONG\r\n"),
        [text] if is("PING") || is("ECHO") => bulk(out, text),
        keys if is("DEL") && !keys.is_empty() => {
            let gone = keys
                .iter()
                .filter(|key| store.shard(key).remove(*key).is_some());
            let gone = gone.count();
            integer(out, gone as i64);
        }
        keys if is("EXISTS") && !keys.is_empty() => {
            let there = keys
                .iter()
                .filter(|key| store.shard(key).contains_key(*key));
            let there = there.count();
            integer(out, there as i64);
        }
        // redis-benchmark asks for `save` and `appendonly`: there is neither.
        [get, name] if is("CONFIG") && get.eq_ignore_ascii_case(b"GET") => {
            out.extend_from_slice(b"*2\r\n");
            bulk(out, name);
            bulk(out, b"");
        }
        _ if is("COMMAND") => out.extend_from_slice(b"*0\r\n"),
        [] if is("QUIT") => {
            out.extend_from_slice(b"+OK\r\n");
            return false;
        }
        _ => {
            let name = String::from_utf8_lossy(&name[..name.len().min(64)])
                .escape_debug()
                .to_string();
            let error = format!("-ERR unknown command or wrong number of arguments: '{name}'\r\n");
            out.extend_from_slice(error.as_bytes());
        }
    }
    true
}

async fn connection(mut socket: TcpStream, store: Arc<Store>) -> io::Result<()> {
    let mut input = BytesMut::with_capacity(16 << 10);
    let mut out = Vec::with_capacity(16 << 10);
    let (mut ranges, mut words) = (Vec::new(), Vec::new());
    loop {
        input.reserve(4 << 10);
        if socket.read_buf(&mut input).await? == 0 {
            return Ok(());
        }
        let mut goes_on = true;
        while goes_on {
            match request(&input, &mut ranges) {
                Ok(Some(length)) => {
                    let whole = input.split_to(length).freeze();
                    words.clear();
                    words.extend(ranges.iter().map(|(from, to)| whole.slice(*from..*to)));
                    goes_on = answer(&store, &words, &mut out);
                }
                Ok(None) if input.remaining() > REQUEST_MAX => {
                    out.extend_from_slice(b"-ERR Protocol error: request too long\r\n");
                    goes_on = false;
                }
                Ok(None) => break,
                Err(ProtocolError(what)) => {
                    out.extend_from_slice(format!("-ERR Protocol error: {what}\r\n").as_bytes());
                    goes_on = false;
                }
            }
        }
        words.clear();
        socket.write_all(&out).await?;
        out.clear();
        if !goes_on {
            return Ok(());
        }
    }
}

#[tokio::main]
async fn main() -> io::Result<()> {
    let mut args = std::env::args().skip(1);
    let port: u16 = match (args.next().as_deref(), args.next()) {
        (None, _) => 6379,
        (Some("--port"), Some(port)) => port.parse().map_err(io::Error::other)?,
        _ => return Err(io::Error::other("the only option is --port N")),
    };
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    println!("listening on {}", listener.local_addr()?);
    let store = Arc::new(Store::new());
    loop {
        let (socket, _) = listener.accept().await?;
        socket.set_nodelay(true)?;
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            // A client that goes away mid-reply is no news.
            let _ = connection(socket, store).await;
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the server sends for this input, read at once.
    fn talk(store: &Store, mut input: &[u8]) -> String {
        let (mut ranges, mut out) = (Vec::new(), Vec::new());
        while let Some(length) = request(input, &mut ranges).expect("RESP") {
            let words: Vec<_> = ranges
                .iter()
                .map(|(a, b)| Bytes::copy_from_slice(&input[*a..*b]))
                .collect();
            answer(store, &words, &mut out);
            input = &input[length..];
        }
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn pipelined_requests_are_answered_in_order() {
        let input = b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$2\r\n41\r\n*2\r\n$4\r\nINCR\r\n$1\r\nk\r\n\
                      *2\r\n$3\r\nget\r\n$1\r\nk\r\nPING\r\nGET nothing\r\n";
        assert_eq!(
            talk(&Store::new(), input),
            "+OK\r\n:42\r\n$2\r\n42\r\n+PONG\r\n$-1\r\n"
        );
    }

    #[test]
    fn a_request_cut_anywhere_is_waited_for() {
        let whole = b"*2\r\n$4\r\nECHO\r\n$3\r\nabc\r\n";
        let mut ranges = Vec::new();
        for cut in 0..whole.len() {
            assert_eq!(
                request(&whole[..cut], &mut ranges),
                Ok(None),
                "cut at {cut}"
            );
        }
        assert_eq!(request(whole, &mut ranges), Ok(Some(whole.len())));
    }

    #[test]
    fn garbage_lengths_are_protocol_errors() {
        let mut ranges = Vec::new();
        let long = b"*1\r\n$99999999999\r\n".as_slice();
        for input in [
            b"*x\r\n".as_slice(),
            b"*1\r\n:3\r\n",
            b"*1\r\n$-1\r\n",
            long,
        ] {
            assert!(request(input, &mut ranges).is_err(), "{input:?}");
        }
    }

    #[test]
    fn an_overflowing_increment_keeps_the_value() {
        let store = Store::new();
        let set = talk(&store, b"SET k 9223372036854775807\r\nINCR k\r\nGET k\r\n");
        assert!(set.contains("-ERR value is not"), "{set}");
        assert!(set.ends_with("9223372036854775807\r\n"), "{set}");
    }
}
