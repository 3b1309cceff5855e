//! A connection: a goroutine under the connection supervisor.
//!
//! 1. Wait for bytes, for published messages, or for the daemon's stop.
//! 2. Read once, and plan every whole request that is there (see [`plan`](super::plan)).
//! 3. Run the plan, write all replies with one call, go back to 1.
//!
//! - Between requests a connection holds no buffer: ten thousand idle clients cost their sockets
//!   and goroutines.
//! - Commands that must see all before them done (`SUBSCRIBE`, `INFO` ..) run the plan first.
//! - A stop lets the plan in flight end and hangs up then; half a request is dropped.
//! - A client that does not read its replies holds up only its own goroutine, and memory for one
//!   plan's replies; one that does not read its subscription is hung up on by `pubsub`.

use std::future::{Future as _, poll_fn};
use std::io::{self, ErrorKind};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use actor_core::sync::Pooled;
use actor_core::timeout;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::admin::{self, Session};
use super::command::{self, Local, Route};
use super::plan::{Outlet, Plan};
use super::pubsub::{Inbox, subscriber};
use super::resp::{Parser, parse_i64, reply};
use super::services::{Seat, Services};

/// What one read asks for, unless a long value is on its way.
const READ_BYTES: usize = 16 << 10;
/// What one read asks for at most.
const READ_BYTES_MAX: usize = 1 << 20;
/// A plan is run when the requests in it are this large, however many more have come.
const PLAN_BYTES_MAX: usize = 1 << 20;

/// Why the plan is to be run.
enum Planned {
    /// No whole request is left.
    All,
    Full,
    Barrier(Local, Vec<Vec<u8>>),
}

/// Why the connection woke up.
enum Event {
    /// So many bytes have come; 0 at the end of the stream.
    Read(usize),
    Published,
    Stop,
}

struct Conn {
    stream: TcpStream,
    seat: Seat,
    session: Session,
    parser: Parser,
    plan: Plan,
    /// Bytes read and not yet planned; `None` between requests.
    input: Option<Pooled<Vec<u8>>>,
    inbox: Option<Inbox>,
}

/// Serves one client until it leaves, errs, or the daemon stops.
pub(crate) async fn serve(stream: TcpStream, seat: Seat) {
    let addr = stream
        .peer_addr()
        .map_or_else(|_| "?".to_owned(), |addr| addr.to_string());
    // Replies are written whole: there is nothing to be gained by waiting for more.
    let _ = stream.set_nodelay(true);
    let session = Session {
        id: seat.id,
        addr,
        name: Vec::new(),
        subscribed: false,
        closing: false,
    };
    let services = seat.services();
    let parser = Parser::new(services.config.bulk_bytes_max);
    let plan = Plan::new(services.shards.len());
    let mut conn = Conn {
        stream,
        seat,
        session,
        parser,
        plan,
        input: None,
        inbox: None,
    };
    // A client that went away is not worth a line.
    let _ = conn.run().await;
    if conn.inbox.is_some() {
        let _ = conn.seat.services().pubsub.leave(conn.seat.id).tell().await;
    }
}

impl Conn {
    async fn run(&mut self) -> io::Result<()> {
        let services = Arc::clone(self.seat.services());
        // Queued once, to be woken by the daemon's stop; `event` then looks whether it was that.
        let mut stop = pin!(services.stop.told.recv());
        poll_fn(|cx| Poll::Ready(stop.as_mut().poll(cx).is_ready())).await;
        while !self.session.closing {
            match self.event().await? {
                Event::Stop | Event::Read(0) => break,
                Event::Published => self.send_published().await?,
                Event::Read(_) => self.requests().await?,
            }
        }
        self.stream.shutdown().await
    }

    async fn event(&mut self) -> io::Result<Event> {
        let Self {
            stream,
            seat,
            parser,
            input,
            inbox,
            ..
        } = self;
        let services = seat.services();
        if services.stop.is_near() {
            return Ok(Event::Stop);
        }
        // Only a half-sent request has a time limit.
        let limit = input.as_ref().map(|_| services.config.request_within);
        let read = poll_fn(|cx| {
            if services.stop.is_near() {
                return Poll::Ready(Ok(Event::Stop));
            }
            poll_read(stream, parser, input, services, cx).map_ok(Event::Read)
        });
        if inbox.is_none() && limit.is_none() {
            return read.await;
        }
        let read = async {
            match limit {
                Some(limit) => timeout(limit, read).await,
                None => Ok(read.await),
            }
        };
        let published = async {
            match inbox {
                Some(inbox) => inbox.bell.recv().await,
                None => std::future::pending().await,
            }
        };
        let read = tokio::select! {
            biased;
            bell = published => return bell.map(|()| Event::Published).ok_or_else(lost_subscription),
            read = read => read,
        };
        read.unwrap_or_else(|_| {
            let text = b"-ERR Protocol error: request not completed in time\r\n";
            let _ = stream.try_write(text);
            Err(ErrorKind::TimedOut.into())
        })
    }

    /// Answers all whole requests in the buffer.
    async fn requests(&mut self) -> io::Result<()> {
        let Some(mut input) = self.input.take() else {
            return Ok(());
        };
        let mut start = 0;
        loop {
            match self.plan_some(&input, &mut start) {
                Planned::All => break self.run_plan().await?,
                Planned::Full => self.run_plan().await?,
                Planned::Barrier(what, words) => {
                    self.run_plan().await?;
                    self.barrier(what, words).await?;
                }
            }
        }
        input.drain(..start);
        if !input.is_empty() {
            self.input = Some(input);
        }
        Ok(())
    }

    /// Plans requests from `start` on, which it moves, until there is a reason to run the plan.
    fn plan_some(&mut self, input: &[u8], start: &mut usize) -> Planned {
        let Self {
            session,
            parser,
            plan,
            seat,
            ..
        } = self;
        let services = seat.services();
        let first = *start;
        while !session.closing {
            if plan.is_full() || *start - first > PLAN_BYTES_MAX {
                return Planned::Full;
            }
            let rest = &input[*start..];
            match parser.parse(rest) {
                Ok(Some(taken)) => *start += taken,
                Ok(None) => break,
                Err(error) => {
                    plan.local(|out| reply::error(out, format_args!("ERR {error}")));
                    session.closing = true;
                    break;
                }
            }
            let args = parser.args(rest);
            if args.len() == 0 {
                continue;
            }
            let spec = match command::resolve(args) {
                Ok(spec) => spec,
                Err(text) => {
                    plan.local(|out| reply::error(out, text));
                    continue;
                }
            };
            match spec.route {
                Route::Local(what) if is_barrier(what) => {
                    return Planned::Barrier(what, args.from(0).map(<[u8]>::to_vec).collect());
                }
                _ if session.subscribed && !may_subscriber(spec.name) => {
                    plan.local(|out| refuse_subscriber(out, spec.name));
                }
                Route::Local(what) => {
                    plan.local(|out| admin::answer(what, args, session, services, out));
                }
                _ => plan.request(spec, args, services),
            }
        }
        Planned::All
    }

    async fn run_plan(&mut self) -> io::Result<()> {
        if self.plan.is_empty() {
            return Ok(());
        }
        let Self {
            plan,
            stream,
            inbox,
            seat,
            ..
        } = self;
        let services = seat.services();
        let mut out = services.buffers.get();
        let mut outlet = Socket {
            stream,
            inbox: inbox.as_ref(),
        };
        plan.run(services, &mut out, &mut outlet).await?;
        outlet.send(&mut out).await
    }

    async fn send_published(&mut self) -> io::Result<()> {
        let Some(inbox) = &self.inbox else {
            return Ok(());
        };
        let mut out = self.seat.services().buffers.get();
        inbox.outbox.drain_into(&mut out);
        Socket {
            stream: &mut self.stream,
            inbox: Some(inbox),
        }
        .send(&mut out)
        .await
    }

    /// Answers a command that came when all before it was answered.
    async fn barrier(&mut self, what: Local, words: Vec<Vec<u8>>) -> io::Result<()> {
        let services = Arc::clone(self.seat.services());
        let mut out = services.buffers.get();
        match what {
            Local::Subscribe => self.subscribe(&services, words, &mut out).await?,
            Local::Unsubscribe => self.unsubscribe(&services, words, &mut out).await?,
            Local::Reset => {
                if self.inbox.take().is_some() {
                    let _ = services.pubsub.leave(self.session.id).tell().await;
                }
                self.session.subscribed = false;
                self.session.name.clear();
                reply::simple(&mut out, "RESET");
            }
            _ if self.session.subscribed => {
                refuse_subscriber(&mut out, &String::from_utf8_lossy(&words[0]).to_lowercase());
            }
            Local::Publish => {
                let mut words = words.into_iter().skip(1);
                let (channel, payload) = (words.next(), words.next());
                let publish = services
                    .pubsub
                    .publish(channel.unwrap_or_default(), payload.unwrap_or_default());
                match publish.await {
                    Ok(reached) => reply::count(&mut out, reached),
                    Err(error) => reply::error(&mut out, format_args!("ERR pubsub: {error}")),
                }
            }
            Local::Info => reply::bulk(&mut out, admin::info(&services).await.as_bytes()),
            _ => self.debug(&services, &words, &mut out).await,
        }
        Socket {
            stream: &mut self.stream,
            inbox: self.inbox.as_ref(),
        }
        .send(&mut out)
        .await
    }

    async fn subscribe(
        &mut self,
        services: &Services,
        words: Vec<Vec<u8>>,
        out: &mut Vec<u8>,
    ) -> io::Result<()> {
        let channels = words[1..].to_vec();
        let member = self.inbox.is_none().then(|| {
            let (member, inbox) = subscriber();
            self.inbox = Some(inbox);
            member
        });
        let counts = services
            .pubsub
            .subscribe(self.session.id, channels, member)
            .await;
        let Ok(Some(counts)) = counts else {
            return Err(lost_subscription());
        };
        for (channel, count) in words[1..].iter().zip(counts) {
            confirm(out, b"subscribe", Some(channel), count);
        }
        self.session.subscribed = true;
        Ok(())
    }

    async fn unsubscribe(
        &mut self,
        services: &Services,
        words: Vec<Vec<u8>>,
        out: &mut Vec<u8>,
    ) -> io::Result<()> {
        let unsubscribe = services
            .pubsub
            .unsubscribe(self.session.id, words[1..].to_vec());
        let Ok(ended) = unsubscribe.await else {
            return Err(lost_subscription());
        };
        // What was published before comes before: nothing follows the confirmation.
        if let Some(inbox) = &self.inbox {
            inbox.outbox.drain_into(out);
        }
        if ended.is_empty() {
            confirm(out, b"unsubscribe", None, 0);
        }
        for (channel, count) in &ended {
            confirm(out, b"unsubscribe", Some(channel), *count);
            self.session.subscribed = *count > 0;
        }
        Ok(())
    }

    /// `DEBUG PANIC <shard number>|aof|pubsub`, for tests: from this machine only, as in Redis.
    async fn debug(&self, services: &Services, words: &[Vec<u8>], out: &mut Vec<u8>) {
        let local = self
            .stream
            .peer_addr()
            .is_ok_and(|addr| addr.ip().to_canonical().is_loopback());
        let panic = words[1].eq_ignore_ascii_case(b"panic");
        let target = words.get(2).map(Vec::as_slice);
        let shard = target
            .and_then(parse_i64)
            .and_then(|n| services.shards.get(usize::try_from(n).ok()?));
        let crash = match (local, panic, target, shard) {
            (false, ..) => return reply::error(out, "ERR DEBUG command not allowed from afar"),
            (_, true, Some(b"aof"), _) => services.aof.crash().await,
            (_, true, Some(b"pubsub"), _) => services.pubsub.crash().await,
            (_, true, _, Some(shard)) => shard.crash().await,
            _ => {
                let most = services.shards.len() - 1;
                let text = format!("ERR DEBUG takes PANIC and 0..{most}, aof or pubsub");
                return reply::error(out, text);
            }
        };
        match crash {
            Ok(()) => reply::ok(out),
            Err(error) => {
                let target = String::from_utf8_lossy(target.unwrap_or_default());
                reply::error(out, format_args!("ERR {target} crashed as asked: {error}"));
            }
        }
    }
}

/// Reads what has come into the buffer, which is there while something is in it. Not by waiting until the
/// socket is readable and trying then: that takes one more call, to learn that nothing is left.
fn poll_read(
    stream: &mut TcpStream,
    parser: &Parser,
    input: &mut Option<Pooled<Vec<u8>>>,
    services: &Services,
    cx: &mut Context<'_>,
) -> Poll<io::Result<usize>> {
    let buffer = input.get_or_insert_with(|| services.buffers.get());
    // A long value grows the buffer as its bytes arrive, not by what its header claims.
    let wanted = parser.missing(buffer.len()).min(buffer.len());
    buffer.reserve(wanted.clamp(READ_BYTES, READ_BYTES_MAX));
    let polled = pin!(stream.read_buf(&mut **buffer)).poll(cx);
    if polled.is_pending() && buffer.is_empty() {
        *input = None;
    }
    polled
}

fn is_barrier(what: Local) -> bool {
    use Local::{Debug, Info, Publish, Reset, Subscribe, Unsubscribe};
    matches!(
        what,
        Debug | Info | Publish | Reset | Subscribe | Unsubscribe
    )
}

fn may_subscriber(name: &str) -> bool {
    matches!(name, "ping" | "quit" | "reset" | "host:" | "post")
}

fn lost_subscription() -> io::Error {
    io::Error::new(ErrorKind::ConnectionAborted, "the subscription was lost")
}

fn confirm(out: &mut Vec<u8>, what: &[u8], channel: Option<&Vec<u8>>, count: usize) {
    reply::array(out, 3);
    reply::bulk(out, what);
    match channel {
        Some(channel) => reply::bulk(out, channel),
        None => reply::nil(out),
    }
    reply::count(out, count);
}

fn refuse_subscriber(out: &mut Vec<u8>, name: &str) {
    reply::error(
        out,
        format_args!(
            "ERR Can't execute '{name}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / \
             RESET are allowed in this context"
        ),
    );
}

/// The way out to the client.
struct Socket<'a> {
    stream: &'a mut TcpStream,
    inbox: Option<&'a Inbox>,
}

impl Outlet for Socket<'_> {
    /// A subscriber that is dropped meanwhile, for not reading, is not waited for.
    async fn send(&mut self, out: &mut Vec<u8>) -> io::Result<()> {
        let Some(inbox) = self.inbox else {
            self.stream.write_all(out).await?;
            out.clear();
            return Ok(());
        };
        while !out.is_empty() {
            let mut rung = false;
            let mut write = pin!(self.stream.write_all(out));
            loop {
                tokio::select! {
                    biased;
                    done = &mut write => break done?,
                    bell = inbox.bell.recv() => {
                        bell.ok_or_else(lost_subscription)?;
                        rung = true;
                    }
                }
            }
            out.clear();
            if rung {
                // The bell will not ring again for what it rang for.
                inbox.outbox.drain_into(out);
            }
        }
        Ok(())
    }
}
