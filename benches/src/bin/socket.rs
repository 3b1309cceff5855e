//! What a socket round trip costs, and where the reactor should live: two tasks that talk over a
//! Unix socket pair, in tokio itself, in our goroutines with an idle M in tokio's driver (the
//! feature `tokio`), and in our goroutines with the reactor on a thread of its own.
//!
//! `cargo run --release -p benches --features tokio-driver --bin socket`

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

const ROUND_TRIPS: u32 = 20_000;
const ROUNDS: usize = 7;

async fn echo(mut socket: UnixStream) {
    let mut byte = [0];
    while socket.read_exact(&mut byte).await.is_ok() {
        socket.write_all(&byte).await.unwrap();
    }
}

async fn ask(mut socket: UnixStream) -> Duration {
    let started = Instant::now();
    for n in 0..ROUND_TRIPS {
        socket.write_all(&[n as u8]).await.unwrap();
        assert_eq!(socket.read_u8().await.unwrap(), n as u8);
    }
    started.elapsed() / ROUND_TRIPS
}

fn in_tokio(mut builder: tokio::runtime::Builder) -> Duration {
    let tokio = builder.enable_all().build().unwrap();
    tokio.block_on(async {
        let (a, b) = UnixStream::pair().unwrap();
        tokio::spawn(echo(b));
        tokio::spawn(ask(a)).await.unwrap()
    })
}

fn idle_machine_drives() -> Duration {
    let runtime = actor_core::Runtime::new().unwrap();
    runtime.run(async {
        let (a, b) = UnixStream::pair().unwrap();
        drop(actor_core::go(echo(b)));
        ask(a).await
    })
}

fn driver_thread() -> Duration {
    let reactor = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let (a, b) = {
        // Registered with the other reactor: its thread wakes our goroutines.
        let _entered = reactor.enter();
        UnixStream::pair().unwrap()
    };
    let runtime = actor_core::Runtime::new().unwrap();
    runtime.run(async move {
        drop(actor_core::go(echo(b)));
        ask(a).await
    })
}

/// A way to have sockets, and how to measure it.
type Kind = (&'static str, fn() -> Duration);

fn main() {
    let kinds: [Kind; 4] = [
        ("tokio, current thread", || {
            in_tokio(tokio::runtime::Builder::new_current_thread())
        }),
        ("tokio, one worker per core", || {
            in_tokio(tokio::runtime::Builder::new_multi_thread())
        }),
        ("ours, an idle M drives", idle_machine_drives),
        ("ours, a driver thread", driver_thread),
    ];
    let mut readings = kinds.map(|_| Vec::new());
    for _ in 0..ROUNDS {
        for (reading, (_, run)) in readings.iter_mut().zip(kinds) {
            reading.push(run());
        }
    }
    println!("| round trip over a Unix socket pair | median | least |\n|---|---|---|");
    for (reading, (name, _)) in readings.iter_mut().zip(kinds) {
        reading.sort();
        println!(
            "| {name} | {:.1?} | {:.1?} |",
            reading[ROUNDS / 2],
            reading[0]
        );
    }
}
