//! Aliases, `Self` in types, cfg, private types, functions as scopes, actors that name each other.
#![deny(warnings)]
#![allow(dead_code)]

use std::io;

use actor_core::prelude::*;

pub struct Ping {
    peers: Vec<PongRef>,
}

pub(crate) struct Pong(PingRef);

/// Less visible than the actor's own methods say, which is fine inside of a crate.
struct Secret;

#[actor(mailbox = unbounded)]
impl Ping {
    pub const PEERS_MAX: usize = 4;

    #[init]
    fn new() -> io::Result<Self> {
        Ok(Ping { peers: Vec::new() })
    }

    /// Carries a handle of the other actor, which carries one of this.
    pub(crate) fn meet(&mut self, pong: PongRef, me: PingRef) -> io::Result<Option<PingRef>> {
        self.peers.push(pong);
        Ok(Some(me))
    }

    pub fn several(&mut self, all: [u8; Self::PEERS_MAX]) -> Box<[Option<Self>]> {
        let _ = all;
        Box::new([])
    }

    pub(crate) fn hide(&mut self, secret: Secret) -> Result<(), Secret> {
        Err(secret)
    }

    #[deprecated = "meet instead"]
    pub async fn greet(&mut self) {}

    #[cfg(any())]
    pub fn windows_only(&mut self, handle: NoSuchType) -> NoSuchType {
        handle
    }

    #[cfg(not(any()))]
    pub fn switched(&mut self) -> u8 {
        1
    }

    #[cfg(any())]
    pub fn switched(&mut self) -> u16 {
        2
    }

    #[every(seconds = 1)]
    pub async fn sweep(&mut self, _ctx: &Ctx<Self>) {
        self.forget();
    }

    fn forget(&mut self) {
        self.peers.clear();
    }

    pub fn not_a_message(n: u8) -> u8 {
        n
    }

    pub(self) fn neither(&self, text: &str) -> usize {
        text.len()
    }
}

impl Ping {
    /// A second block is the user's own.
    pub fn borrowed(&self, text: &str) -> usize {
        self.neither(text)
    }
}

#[actor(mailbox = rendezvous, vis = pub(crate), handle = PongRef)]
impl Pong {
    #[init]
    async fn new(ping: PingRef) -> Self {
        Pong(ping)
    }

    pub fn ping(&self) -> PingRef {
        self.0.clone()
    }
}

/// No message at all.
pub struct Clock;

#[actor]
#[cfg(not(any()))]
impl Clock {
    #[init]
    fn new() -> Self {
        Clock
    }
}

#[actor]
#[cfg(any())]
impl Clock {
    #[init]
    fn new() -> NoSuchType {
        Clock
    }
}

struct NotClone;

/// Its `child` can't be used, its `start` can.
struct Takes(#[allow(dead_code)] NotClone);

#[actor]
impl Takes {
    #[init]
    fn new(only: NotClone) -> Self {
        Takes(only)
    }
}

pub async fn inside() -> Result<(), Box<dyn std::error::Error>> {
    struct Local;

    #[actor]
    impl Local {
        #[init]
        fn new() -> Self {
            Local
        }

        pub fn echo(&mut self, text: String) -> String {
            text
        }
    }

    let local: LocalRef = Local::start().await?;
    let text: String = local.echo("x".into()).await?;
    drop((text, Takes::start(NotClone).await));
    let ping: PingRef = Ping::start().await?;
    #[expect(deprecated, reason = "the handle's method is deprecated as the handler is")]
    let greeting = ping.greet();
    greeting.await?;
    let pong = Pong::start(ping.clone()).await?;
    let back: Option<PingRef> = ping.meet(pong.clone(), pong.ping().await?).await?;
    assert!(back.is_some() && Ping::not_a_message(1) == ping.switched().await?);
    Ok(())
}

fn main() {}
