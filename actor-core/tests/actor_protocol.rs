//! Handles without the actor's type: any actor that speaks a protocol, or a mock, behind one.

use std::collections::{HashMap, HashSet};
use std::sync::Mutex;
use std::time::Duration;

use actor_core::actor::{CallError, ExitReason, Overflow, ProtocolCall, TrySendError};
use actor_core::chan::{Receiver, Sender, buffered};
use actor_core::prelude::*;

/// What keeps numbers under names.
#[protocol]
pub trait Storage {
    /// The number under a name.
    fn get(&self, name: String) -> Option<u64>;
    async fn put(&mut self, name: String, n: u64) -> Result<(), String>;
    fn wait_for(&self, name: String) -> u64;
    fn block(&self, entered: Sender<()>, open: Receiver<()>);
}

#[protocol(handle = AnyCounter)]
trait Counter {
    fn hits(&self) -> usize;
}

struct Memory {
    numbers: HashMap<String, u64>,
    waiting: Vec<(String, Reply<u64>)>,
    hits: usize,
}

/// Speaks two protocols, and has a message of its own.
#[actor(protocol = Storage, mailbox = buffered(1))]
impl Memory {
    #[init]
    fn new() -> Self {
        Memory {
            numbers: HashMap::new(),
            waiting: Vec::new(),
            hits: 0,
        }
    }

    /// Not a `&self` method here, and it needs its context: that is its own matter.
    pub fn get(&mut self, ctx: &Ctx<Self>, key: String) -> Option<u64> {
        assert_eq!(ctx.name(), "Memory");
        self.hits += 1;
        self.numbers.get(&key).copied()
    }

    pub async fn put(&mut self, name: String, n: u64) -> Result<(), String> {
        if name.is_empty() {
            return Err("no name".into());
        }
        let (now, later) = std::mem::take(&mut self.waiting)
            .into_iter()
            .partition(|(wanted, _)| *wanted == name);
        self.waiting = later;
        let answered: Vec<(String, Reply<u64>)> = now;
        for (_, reply) in answered {
            reply.send(n);
        }
        self.numbers.insert(name, n);
        Ok(())
    }

    /// Answers later, which no caller sees.
    pub fn wait_for(&mut self, name: String, reply: Reply<u64>) {
        match self.numbers.get(&name) {
            Some(n) => reply.send(*n),
            None => self.waiting.push((name, reply)),
        }
    }

    pub async fn block(&mut self, entered: Sender<()>, open: Receiver<()>) {
        entered.send(()).await.unwrap();
        open.recv().await;
    }

    #[provides(Counter)]
    pub fn hits(&mut self) -> usize {
        self.hits
    }
}

/// Another actor of the protocol, in which it has another message too.
mod elsewhere {
    use super::*;

    pub(crate) struct Constant(pub u64);

    #[actor]
    impl Constant {
        #[init]
        fn new(n: u64) -> Self {
            Constant(n)
        }
        #[provides(super::Storage)]
        pub fn get(&self, _name: String) -> Option<u64> {
            Some(self.0)
        }
        #[provides(super::Storage)]
        pub fn put(&mut self, _name: String, n: u64) -> Result<(), String> {
            self.0 = n;
            Ok(())
        }
        #[provides(super::Storage)]
        pub fn wait_for(&self, _name: String) -> u64 {
            self.0
        }
        #[provides(super::Storage)]
        pub fn block(&self, _entered: Sender<()>, _open: Receiver<()>) {}
        pub fn its_own(&self) {}
    }
}

/// A mock: an impl of the calls, with closures where a test wants them.
struct Mock {
    asked: Mutex<Vec<String>>,
    get: Box<Get>,
}

type Get = dyn Fn(&str) -> Option<u64> + Send + Sync;

impl Storage for Mock {
    fn get(&self, name: String) -> ProtocolCall<'_, Option<u64>> {
        ProtocolCall::answer_with(move || {
            let answer = (self.get)(&name);
            self.asked.lock().unwrap().push(name);
            Ok(answer)
        })
    }
    fn put(&self, name: String, _: u64) -> ProtocolCall<'_, (), String> {
        ProtocolCall::answer(Err(CallError::Failed(format!("{name} is read-only"))))
    }
    fn wait_for(&self, _: String) -> ProtocolCall<'_, u64> {
        ProtocolCall::answer_by(async {
            yield_now().await;
            Ok(1)
        })
    }
    fn block(&self, _: Sender<()>, _: Receiver<()>) -> ProtocolCall<'_, ()> {
        ProtocolCall::answer(Err(CallError::Stopped))
    }
}

fn mock() -> StorageRef {
    StorageRef::new(Mock {
        asked: Mutex::default(),
        get: Box::new(|name| (name == "a").then_some(5)),
    })
}

/// Knows the protocol only.
async fn add(storage: &StorageRef, name: &str, n: u64) -> Result<u64, CallError<String>> {
    let sum = storage.get(name.into()).await.unwrap().unwrap_or(0) + n;
    storage.put(name.into(), sum).await?;
    Ok(sum)
}

#[actor_core::test]
async fn different_actors_and_a_mock_stand_behind_the_same_handle() {
    let memory = StorageRef::from(Memory::start().await.unwrap());
    assert_eq!(add(&memory, "a", 2).await, Ok(2));
    assert_eq!(add(&memory, "a", 3).await, Ok(5));
    assert_eq!(
        add(&memory, "", 1).await,
        Err(CallError::Failed("no name".into()))
    );
    let constant: StorageRef = elsewhere::Constant::start(7).await.unwrap().into();
    assert_eq!(add(&constant, "x", 1).await, Ok(8));
    assert_eq!(
        add(&mock(), "a", 1).await,
        Err(CallError::Failed("a is read-only".into()))
    );
}

#[actor_core::test]
async fn a_handler_that_answers_later_does_so_behind_a_protocol() {
    let memory = StorageRef::from(Memory::start().await.unwrap());
    let other = memory.clone();
    let waits = go(async move { other.wait_for("b".into()).await });
    yield_now().await;
    memory.put("b".into(), 4).await.unwrap();
    assert_eq!(waits.await.unwrap(), Ok(4));
}

#[actor_core::test]
async fn erased_calls_are_asked_told_timed_and_refused_as_typed_ones() {
    let actor = Memory::start().await.unwrap();
    let memory = StorageRef::new(actor.clone());
    assert_eq!(
        format!("{:?}", memory.get("a".into())),
        "ProtocolCall { message: \"get\" }"
    );
    memory.put("a".into(), 1).tell().await.unwrap();
    let within = Duration::from_secs(60);
    assert_eq!(memory.get("a".into()).timeout(within).await, Ok(Some(1)));
    let (entered, is_in) = buffered(1);
    let (open, gate) = buffered(1);
    memory.block(entered, gate).tell().await.unwrap();
    is_in.recv().await.unwrap();
    memory.put("a".into(), 2).try_tell().unwrap();
    match memory.get("a".into()).try_tell() {
        Err(TrySendError::Full(msg)) => assert_eq!(msg.name(), "get"),
        other => panic!("{other:?}"),
    }
    assert_eq!(
        memory.get("a".into()).overflow(Overflow::Fail).await,
        Err(CallError::Overloaded)
    );
    let told = memory.put("a".into(), 9).tell_or_drop();
    assert!(matches!(told, Ok(false)), "{told:?}");
    assert_eq!(
        memory
            .get("a".into())
            .timeout(Duration::from_millis(1))
            .await,
        Err(CallError::Timeout)
    );
    open.send(()).await.unwrap();
    assert_eq!(memory.get("a".into()).await, Ok(Some(2)));
    actor.stop().await;
    assert_eq!(memory.get("a".into()).await, Err(CallError::Stopped));
    let refused = memory.put("a".into(), 3).tell().await.unwrap_err();
    assert_eq!(refused.into_inner().name(), "put");
    assert!(memory.get("a".into()).try_tell().unwrap_err().is_closed());
}

#[test]
fn a_foreign_thread_asks_behind_a_protocol() {
    let rt = actor_core::Runtime::new().unwrap();
    let memory = StorageRef::from(rt.block_on(Memory::start()).unwrap());
    assert_eq!(memory.put("a".into(), 1).blocking(), Ok(()));
    let limit = Duration::from_millis(1);
    assert_eq!(
        memory.wait_for("b".into()).blocking_timeout(limit),
        Err(CallError::Timeout)
    );
}

struct Front(StorageRef);

#[actor]
impl Front {
    #[init]
    fn new(storage: StorageRef) -> Self {
        Front(storage)
    }
    pub async fn get(&mut self, name: String, reply: Reply<Option<u64>>) {
        self.0.get(name).forward(reply).await;
    }
    pub async fn put(&mut self, name: String, reply: Reply<Result<(), String>>) {
        self.0.put(name, 1).forward(reply).await;
    }
    pub async fn block(&mut self, reply: Reply<()>) {
        let (entered, gate) = (buffered(1).0, buffered(1).1);
        self.0.block(entered, gate).forward(reply).await;
    }
}

#[actor_core::test]
async fn erased_calls_are_forwarded_to_actors_and_mocks() {
    let memory = StorageRef::from(Memory::start().await.unwrap());
    memory.put("a".into(), 3).await.unwrap();
    let front = Front::start(memory).await.unwrap();
    assert_eq!(front.get("a".into()).await, Ok(Some(3)));
    let front = Front::start(mock()).await.unwrap();
    assert_eq!(front.get("a".into()).await, Ok(Some(5)));
    assert_eq!(
        front.put("k".into()).await,
        Err(CallError::Failed("k is read-only".into()))
    );
    assert_eq!(front.block().await, Err(CallError::NoReply));
}

#[actor_core::test]
async fn a_mocks_call_runs_when_it_is_sent_and_not_before() {
    let asked = std::sync::Arc::new(Mutex::new(0));
    let count = {
        let asked = asked.clone();
        move |_: &str| {
            *asked.lock().unwrap() += 1;
            None
        }
    };
    let mock = StorageRef::new(Mock {
        asked: Mutex::default(),
        get: Box::new(count),
    });
    drop(mock.get("unsent".into()));
    assert_eq!(*asked.lock().unwrap(), 0);
    assert_eq!(mock.get("asked".into()).await, Ok(None));
    mock.get("told".into()).tell().await.unwrap();
    mock.get("told at once".into()).try_tell().unwrap();
    assert_eq!(*asked.lock().unwrap(), 3);
    let refused = mock.wait_for("not at once".into()).try_tell();
    assert!(refused.unwrap_err().is_full());
    assert_eq!(mock.wait_for("later".into()).await, Ok(1));
    let (entered, gate) = (buffered(1).0, buffered(1).1);
    assert!(mock.block(entered, gate).tell().await.is_err());
}

#[actor_core::test]
async fn erased_handles_keep_an_actor_alive_and_compare_hash_and_print_by_it() {
    let actor = Memory::start().await.unwrap();
    let one = StorageRef::from(actor.clone());
    let same: StorageRef = actor.clone().into();
    let other = StorageRef::from(Memory::start().await.unwrap());
    let (mock, mock_2) = (mock(), mock());
    assert!(one == same && one != other && one != mock && mock == mock.clone() && mock != mock_2);
    let all = [one.clone(), same, other, mock.clone(), mock.clone(), mock_2];
    assert_eq!(all.into_iter().collect::<HashSet<_>>().len(), 4);
    assert_eq!(format!("{one:?}"), format!("{actor:?}"));
    assert_eq!(format!("{mock:?}"), "a Storage that is no actor");
    assert!(mock.actor().is_none());

    let any = one.actor().unwrap();
    assert_eq!((any.id(), any.name()), (actor.id(), "Memory"));
    let counter: AnyCounter = actor.clone().into();
    assert_eq!(counter.actor().unwrap().id(), actor.id());
    let ended = actor.wait();
    drop((actor, counter));
    one.get("a".into()).await.unwrap();
    assert!(!any.is_stopped());
    drop(one);
    assert_eq!(ended.await, ExitReason::Normal);
}

#[actor_core::test]
async fn an_actor_has_several_protocols() {
    let actor = Memory::start().await.unwrap();
    let (storage, counter) = (
        StorageRef::from(actor.clone()),
        AnyCounter::from(actor.clone()),
    );
    storage.get("a".into()).await.unwrap();
    assert_eq!(counter.hits().await, Ok(1));
    assert_eq!(counter.actor().unwrap().stop().await, ExitReason::Normal);
}

/// Two modules whose actors call each other, each naming the protocol of the other only.
mod ping {
    use actor_core::prelude::*;

    #[protocol]
    pub trait Pong {
        fn pong(&self, left: u32, to: super::Sender<u32>);
    }

    pub(crate) struct Ping(pub PongRef);

    #[actor]
    impl Ping {
        #[init]
        fn new(pong: PongRef) -> Self {
            Ping(pong)
        }
        #[provides(super::pong::Pinged)]
        pub async fn ping(&mut self, left: u32, to: super::Sender<u32>) {
            if left == 0 {
                to.send(7).await.unwrap();
            } else {
                self.0.pong(left - 1, to).tell().await.unwrap();
            }
        }
    }
}

mod pong {
    use actor_core::prelude::*;

    #[protocol]
    pub trait Pinged {
        fn ping(&self, left: u32, to: super::Sender<u32>);
    }

    pub(crate) struct Table(pub Option<PingedRef>);

    #[actor(protocol = super::ping::Pong)]
    impl Table {
        #[init]
        fn new() -> Self {
            Table(None)
        }
        #[provides(Seat)]
        pub fn seat(&mut self, peer: PingedRef) {
            self.0 = Some(peer);
        }
        pub async fn pong(&mut self, left: u32, to: super::Sender<u32>) {
            let peer = self.0.as_ref().unwrap();
            peer.ping(left, to).tell().await.unwrap();
        }
    }

    #[protocol]
    pub trait Seat {
        fn seat(&self, peer: PingedRef);
    }
}

#[actor_core::test]
async fn modules_whose_actors_call_each_other_need_not_name_each_others_actors() {
    let table = pong::Table::start().await.unwrap();
    let ping = ping::Ping::start(table.clone().into()).await.unwrap();
    table.seat(ping.clone().into()).await.unwrap();
    let (to, done) = buffered(1);
    ping.ping(10, to).tell().await.unwrap();
    assert_eq!(done.recv().await, Some(7));
    ping.stop().await;
    table.stop().await;
}
