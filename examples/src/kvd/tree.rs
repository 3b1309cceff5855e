//! The whole supervision tree, from the sockets to the disk, and its ordered stop.
//!
//! ```text
//!  kvd (one_for_one)
//!  ├── aof            actor      the log: first to start, last to stop   ┐
//!  ├── shards         one_for_one, up to 20 restarts in 10 s             │ see `engine`
//!  │   ├── shard-0    actor      rebuilds itself from the log            │
//!  │   └── ..                                                            │
//!  ├── pubsub         actor                                              ┘
//!  ├── connections    one_for_one
//!  │   └── client-7   goroutine, temporary: started by the listener, never restarted
//!  ├── drain          goroutine: waits for the stop, and then for the clients
//!  └── listener       goroutine: last to start, first to stop
//! ```
//!
//! Children start in this order, each when the one before it is ready, and stop in reverse. So the
//! order of a stop is the order of this list: no new clients; then `drain` tells the connections, all
//! at once, and gives them time for the replies to what they have sent; connections that are left are
//! cut off; the shards; at last the log, with all that they wrote in its mailbox.
//!
//! Handles are valid before their actor runs and across its restarts, so everything can be wired up
//! first.

use std::convert::Infallible;
use std::fmt;
use std::io::{self, Write as _};
use std::net::{SocketAddr, TcpListener as StdListener};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use actor_core::prelude::*;
use actor_core::supervise::{StopSignal, SupervisorRef};
use tokio::net::{TcpListener, TcpStream};

use super::clock::Clock;
use super::config::{Config, Fsync};
use super::conn;
use super::disk::{Disk as _, Files};
use super::engine::{self, Ground};
use super::services::{Seat, Services};

/// Why the daemon did not start.
#[derive(Debug)]
pub(crate) enum KvdError {
    /// The data folder can't be made.
    Dir(PathBuf, io::Error),
    /// The address can't be listened on.
    Listen(SocketAddr, io::Error),
}

impl fmt::Display for KvdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dir(dir, error) => write!(f, "can't make the folder {}: {error}", dir.display()),
            Self::Listen(addr, error) if error.kind() == io::ErrorKind::AddrInUse => write!(
                f,
                "can't listen on {addr}: the port is in use; choose another with --port"
            ),
            Self::Listen(addr, error) => write!(f, "can't listen on {addr}: {error}"),
        }
    }
}

impl std::error::Error for KvdError {}

/// The listening socket. Every incarnation of the listener gets a duplicate; the stop closes it,
/// so that new clients are refused by the system and do not wait in a queue that no one serves.
#[derive(Clone, Debug)]
struct Socket(Arc<Mutex<Option<StdListener>>>);

impl Socket {
    fn bind(addr: SocketAddr) -> io::Result<(Self, SocketAddr)> {
        let socket = StdListener::bind(addr)?;
        socket.set_nonblocking(true)?;
        let addr = socket.local_addr()?;
        Ok((Self(Arc::new(Mutex::new(Some(socket)))), addr))
    }

    fn another(&self) -> io::Result<StdListener> {
        let closed = || io::Error::new(io::ErrorKind::NotConnected, "the daemon is stopping");
        self.lock().as_ref().ok_or_else(closed)?.try_clone()
    }

    fn take(&self) -> Option<StdListener> {
        self.lock().take()
    }

    fn lock(&self) -> MutexGuard<'_, Option<StdListener>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the daemon runs: nothing of it does yet, but its port is taken. Must be called in a
/// goroutine.
///
/// # Errors
/// The folder can't be made, or the port is taken.
pub(crate) async fn plant(config: Config) -> Result<Supervisor, KvdError> {
    let disk = Files {
        hand_over: config.fsync == Fsync::Always,
    };
    let made = disk.make_dir(&config.dir).await;
    made.map_err(|error| KvdError::Dir(config.dir.clone(), error))?;
    // Bound here and not in the listener: a restart of the listener keeps the socket, and a port in
    // use is no reason to restart anything.
    let wanted = SocketAddr::new(config.bind, config.port);
    let (socket, addr) = Socket::bind(wanted).map_err(|error| KvdError::Listen(wanted, error))?;

    let stop_within = config.stop_within;
    let ground = Ground {
        disk: Arc::new(disk),
        clock: Clock::System,
        notice: |text| eprintln!("kvd: {text}"),
    };
    let (services, root) = engine::plant(config, addr.port(), ground);
    let connections = Supervisor::one_for_one("connections");
    let drain = ChildSpec::go_until("drain", {
        let (services, socket) = (Arc::clone(&services), socket.clone());
        move |stop| drain(stop, Arc::clone(&services), socket.clone())
    });
    let listener = ChildSpec::go("listener", {
        let connections = connections.handle();
        let ready = Arc::new(AtomicBool::new(false));
        move || {
            // All others have started when the listener does.
            if !ready.swap(true, Ordering::SeqCst) {
                let mut stdout = io::stdout();
                let _ = writeln!(stdout, "kvd ready on {addr}").and_then(|()| stdout.flush());
            }
            listen(socket.another(), Arc::clone(&services), connections.clone())
        }
    });
    Ok(root
        .child(connections)
        .child(drain.stop_within(stop_within))
        .child(listener))
}

/// Waits for the stop. Then: no new clients, those that are there get the replies to what they have
/// sent, or have had their time.
async fn drain(stop: StopSignal, services: Arc<Services>, socket: Socket) {
    stop.requested().await;
    eprintln!("kvd: stopping; a second signal stops at once");
    drop(socket.take());
    services.stop.tell();
    // The rest of the time is for the log.
    let limit = services.config.stop_within / 4 * 3;
    if timeout(limit, services.open.wait()).await.is_err() {
        let left = services.counters.clients();
        eprintln!("kvd: {left} clients do not take their replies and are cut off");
    }
}

/// The listener: starts a supervised goroutine per client until it is stopped.
async fn listen(
    socket: io::Result<StdListener>,
    services: Arc<Services>,
    connections: SupervisorRef,
) -> io::Result<Infallible> {
    let listener = TcpListener::from_std(socket?)?;
    loop {
        match listener.accept().await {
            Ok((stream, _)) => match Seat::take(&services) {
                Some(seat) => welcome(stream, seat, &connections).await,
                None => {
                    services.counters.refuse();
                    // A fresh socket has room for so little; if not, closing says it as well.
                    let _ = stream.try_write(b"-ERR max number of clients reached\r\n");
                }
            },
            // Out of file descriptors, most likely: some will be free again.
            Err(error) => {
                eprintln!("kvd: can't accept a client: {error}");
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn welcome(stream: TcpStream, seat: Seat, connections: &SupervisorRef) {
    let id = format!("client-{}", seat.id);
    // The stop is told to all connections at once, by `Services::stop`; what is left when the
    // supervisor comes to stop them has had its time.
    let child = ChildSpec::once(id, conn::serve(stream, seat)).stop_within(Duration::ZERO);
    // If it can't be started, the daemon is stopping: the socket is closed by its drop.
    if let Err(error) = connections.start_child(child).await {
        eprintln!("kvd: {error}");
    }
}
