//! Tokio's I/O and timer futures run in goroutines (feature `tokio`).
#![cfg(feature = "tokio")]

use std::time::Duration;

use actor_core::sim::{self, FailureKind};
use actor_core::{Runtime, go};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

async fn echo(listener: TcpListener) {
    while let Ok((mut socket, _)) = listener.accept().await {
        drop(go(async move {
            let mut buffer = [0; 1024];
            while let Ok(n @ 1..) = socket.read(&mut buffer).await {
                if socket.write_all(&buffer[..n]).await.is_err() {
                    return;
                }
            }
        }));
    }
}

fn conversations(procs: usize, clients: usize, rounds: u32) {
    let rt = Runtime::builder().procs(procs).build().unwrap();
    rt.run(async move {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = go(echo(listener));
        let clients: Vec<_> = (0..clients)
            .map(|_| {
                go(async move {
                    let mut socket = TcpStream::connect(address).await.unwrap();
                    for round in 0..rounds {
                        let sent = round.to_le_bytes();
                        socket.write_all(&sent).await.unwrap();
                        let mut got = [0; 4];
                        socket.read_exact(&mut got).await.unwrap();
                        assert_eq!(got, sent);
                    }
                })
            })
            .collect();
        for client in clients {
            client.await.unwrap();
        }
        server.abort();
    });
}

#[test]
fn sockets_answer_in_goroutines_on_one_and_two_processors() {
    conversations(1, 1, 200);
    conversations(1, 20, 100);
    conversations(2, 1, 200);
    conversations(2, 50, 100);
}

#[test]
fn tokio_timers_and_ours_wake_side_by_side() {
    let rt = Runtime::builder().procs(2).build().unwrap();
    rt.run(async {
        for _ in 0..5 {
            let theirs = go(tokio::time::sleep(Duration::from_millis(2)));
            let ours = go(actor_core::sleep(Duration::from_millis(2)));
            theirs.await.unwrap();
            ours.await.unwrap();
        }
        let late = tokio::time::timeout(Duration::from_millis(1), std::future::pending::<()>());
        assert!(late.await.is_err());
    });
}

#[test]
fn tokio_spawn_and_spawn_blocking_work_from_a_goroutine() {
    let rt = Runtime::builder().procs(2).build().unwrap();
    let sum = rt.run(async {
        let spawned = tokio::spawn(async {
            tokio::time::sleep(Duration::from_millis(1)).await;
            40
        });
        spawned.await.unwrap() + tokio::task::spawn_blocking(|| 2).await.unwrap()
    });
    assert_eq!(sum, 42);
}

#[test]
fn io_is_served_while_every_machine_computes() {
    let rt = Runtime::builder().procs(2).build().unwrap();
    let handle = rt.handle().clone();
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let hogs: Vec<_> = (0..2)
        .map(|_| {
            let stop = stop.clone();
            handle.go(async move {
                while !stop.load(std::sync::atomic::Ordering::SeqCst) {
                    std::hint::spin_loop();
                }
            })
        })
        .collect();
    // Ends only if sockets make progress although no M ever comes back by itself.
    let talk = handle.go(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = go(echo(listener));
        let mut socket = TcpStream::connect(address).await.unwrap();
        socket.write_all(b"x").await.unwrap();
        assert_eq!(socket.read_u8().await.unwrap(), b'x');
        server.abort();
    });
    rt.block_on(async {
        talk.await.unwrap();
        stop.store(true, std::sync::atomic::Ordering::SeqCst);
        for hog in hogs {
            hog.await.unwrap();
        }
    });
}

#[test]
fn a_runtime_with_open_sockets_ends_cleanly() {
    let rt = Runtime::builder().procs(2).build().unwrap();
    rt.run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        drop(go(echo(listener)));
        for _ in 0..10 {
            let mut socket = TcpStream::connect(address).await.unwrap();
            drop(go(async move { socket.read_u8().await }));
        }
    });
}

#[test]
fn a_simulation_refuses_tokio_and_says_what_to_do_instead() {
    type Run = fn() -> sim::Check;
    let tests: [Run; 4] = [
        || sim::check(|_| async { drop(TcpListener::bind("127.0.0.1:0").await) }),
        || sim::check(|_| tokio::time::sleep(Duration::from_millis(1))),
        || sim::check(|_| async { drop(tokio::spawn(async {})) }),
        // Somebody hides the panic.
        || {
            sim::check(|_| async {
                drop(go(async { tokio::task::spawn_blocking(|| ()).await }).await)
            })
        },
    ];
    for test in tests {
        let failure = test().try_run().unwrap_err();
        assert_eq!(failure.kind, FailureKind::Refused, "{failure}");
        let instead = "use `sleep`, `timeout` and `go` of actor_core";
        assert!(failure.message.contains(instead), "{failure}");
    }
}
