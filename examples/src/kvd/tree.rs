//! The supervision tree, its start, and its ordered stop.
//!
//! ```text
//!  kvd (one_for_one)
//!  ├── aof            actor      the log: first to start, last to stop
//!  ├── shards         one_for_one, up to 20 restarts in 10 s
//!  │   ├── shard-0    actor      rebuilds itself from the log at every start
//!  │   └── ..
//!  ├── pubsub         actor
//!  ├── connections    one_for_one
//!  │   └── client-7   goroutine, temporary: started by the listener, never restarted
//!  └── listener       goroutine: last to start, first to stop
//! ```
//!
//! Children start in this order, each when the one before it is ready, and stop in reverse. Handles
//! are valid before their actor runs and across its restarts, so everything can be wired up first.

use std::convert::Infallible;
use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use actor_core::actor::{ExitReason, StartError};
use actor_core::chan::buffered;
use actor_core::prelude::*;
use actor_core::supervise::{Child, SupervisorRef};
use actor_core::sync::WaitGroup;
use actor_core::{Handle, Instant};
use tokio::net::{TcpListener, TcpStream};

use super::aof::{Aof, AofConfig, LogState};
use super::config::Config;
use super::conn;
use super::pubsub::PubSub;
use super::services::{Counters, Seat, Services, batch_pool, buffer_pool};
use super::shard::{Shard, ShardConfig};
use super::store::Place;

/// The data file's name in `--dir`.
pub const LOG_NAME: &str = "kvd.aof";

const LISTENER: &str = "listener";

/// Why the daemon did not start.
#[derive(Debug)]
pub enum KvdError {
    /// The data folder can't be made.
    Dir(PathBuf, io::Error),
    /// The address can't be listened on.
    Listen(SocketAddr, io::Error),
    /// A child did not start.
    Tree(StartError),
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
            Self::Tree(error) => write!(f, "{error}"),
        }
    }
}

impl std::error::Error for KvdError {}

/// A running daemon.
#[derive(Debug)]
pub struct Kvd {
    root: SupervisorRef,
    services: Arc<Services>,
    socket: Socket,
    addr: SocketAddr,
}

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

impl Kvd {
    /// Starts the whole tree; it listens when this returns. Must be called in a goroutine.
    ///
    /// # Errors
    /// The port is taken, the data file can't be used, or a child failed to start. What had started
    /// is stopped again.
    pub async fn start(config: Config) -> Result<Self, KvdError> {
        std::fs::create_dir_all(&config.dir)
            .map_err(|error| KvdError::Dir(config.dir.clone(), error))?;
        // Bound here and not in the listener: a restart of the listener keeps the socket, and a
        // port in use is no reason to restart anything.
        let wanted = SocketAddr::new(config.bind, config.port);
        let (socket, addr) =
            Socket::bind(wanted).map_err(|error| KvdError::Listen(wanted, error))?;

        let path = config.dir.join(LOG_NAME);
        let log_state = Arc::new(LogState::default());
        let aof = Child::<Aof>::new("aof", {
            let (path, state) = (path.clone(), Arc::clone(&log_state));
            move || {
                (AofConfig {
                    path: path.clone(),
                    fsync: config.fsync,
                    state: Arc::clone(&state),
                },)
            }
        })
        .stop_within(config.stop_within);
        let pubsub = Child::<PubSub>::new("pubsub", || ());

        let of = config.shards.unwrap_or_else(|| Handle::current().procs());
        let mut shards = Supervisor::one_for_one("shards").intensity(20, Duration::from_secs(10));
        let mut shard_refs = Vec::with_capacity(of);
        for index in 0..of {
            let shard = ShardConfig {
                place: Place { index, of },
                path: path.clone(),
                value_bytes_max: config.bulk_bytes_max,
                aof: aof.handle(),
                log_state: Arc::clone(&log_state),
            };
            let child = Child::<Shard>::new(format!("shard-{index}"), move || (shard.clone(),));
            shard_refs.push(child.handle());
            shards = shards.child(child);
        }

        let (stopping, stopped) = buffered(0);
        let services = Arc::new(Services {
            port: addr.port(),
            shards: shard_refs,
            aof: aof.handle(),
            log_state,
            pubsub: pubsub.handle(),
            buffers: buffer_pool(),
            batches: batch_pool(),
            stopping,
            stopped,
            open: WaitGroup::new(),
            counters: Counters::default(),
            started: Instant::now(),
            config,
        });
        let connections = Supervisor::one_for_one("connections");
        let listener = ChildSpec::go(LISTENER, {
            let (services, connections) = (Arc::clone(&services), connections.handle());
            let socket = socket.clone();
            move || listen(socket.another(), Arc::clone(&services), connections.clone())
        });
        let root = Supervisor::one_for_one("kvd")
            .intensity(5, Duration::from_secs(10))
            .child(aof)
            .child(shards)
            .child(pubsub)
            .child(connections)
            .child(listener)
            .start()
            .await
            .map_err(KvdError::Tree)?;
        Ok(Self {
            root,
            services,
            socket,
            addr,
        })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Ready when the tree has ended by itself: a child crashed too often.
    pub async fn ended(&self) -> ExitReason {
        self.root.wait().await
    }

    /// Stops in order: no new clients, those that are there get the replies to what they have sent,
    /// the log is written and synced. False if that took longer than `--stop-within`.
    pub async fn stop(self) -> bool {
        let within = self.services.config.stop_within;
        let end = Instant::now() + within;
        let _ = self.root.terminate_child(LISTENER).await;
        drop(self.socket.take());
        self.services.stopping.close();
        // The rest of the time is for the log.
        if timeout(within / 4 * 3, self.services.open.wait())
            .await
            .is_err()
        {
            let left = self.services.counters.clients();
            eprintln!("kvd: {left} clients do not take their replies and are cut off");
        }
        timeout(end - Instant::now(), self.root.stop())
            .await
            .is_ok()
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
    // The stop is told to all connections at once, by `Services::stopping`; what is left when the
    // supervisor comes to stop them has had its time.
    let child = ChildSpec::once(id, conn::serve(stream, seat)).stop_within(Duration::ZERO);
    // If it can't be started, the daemon is stopping: the socket is closed by its drop.
    if let Err(error) = connections.start_child(child).await {
        eprintln!("kvd: {error}");
    }
}
