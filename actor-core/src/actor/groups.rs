//! Groups: actors of any type that get the messages of one topic. OTP's `pg`.
//!
//! - A group is shared by its handles and by the lives of its members: with the last of them it
//!   goes, and its topic is free for another type of message. The runtime's table only points to it.
//! - Members are a list that is copied when it changes, so that publishing holds no lock while it
//!   sends: user code (making a message, waking a receiver) runs under none.
//! - Joining ties the membership to the actor's life; the life cuts it before it tells anybody that
//!   the actor is dead. A join that comes too late takes itself back.
//! - Changes are put into the watchers' queues under the group's lock, so each sees all of them, in
//!   order, from the list it was given on; they are woken after it.

use std::{
    any::{Any, TypeId, type_name},
    collections::VecDeque,
    error::Error,
    fmt,
    future::poll_fn,
    sync::{Arc, Weak},
    task::{Context, Poll, Waker},
    time::Duration,
};

use dashmap::{DashMap, mapref::entry::Entry as Place};

use super::{
    Actor, ActorId, ActorRef, AnyRef, Call, Hold, Report,
    delivery::{Delivery, Tried, try_tell},
    life::next_key,
};
use crate::{
    sched::{
        attached::of_runtime,
        coop,
        wait::{self, Wait, WaitKind},
    },
    shim::Mutex,
};

#[derive(Default)]
struct Topics {
    open: DashMap<Arc<str>, Weak<dyn AnyState>>,
}

trait AnyState: Any + Send + Sync {
    fn message(&self) -> (TypeId, &'static str);
    fn into_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync>;
}

impl Topics {
    /// The group of this topic, made if there is none.
    fn open<M: Send + 'static>(self: &Arc<Self>, topic: Arc<str>) -> Result<Group<M>, GroupError> {
        // Taken out of the table's lock before it is looked at: dropping a group locks the table.
        let open = match self.open.entry(Arc::clone(&topic)) {
            Place::Occupied(mut place) => match place.get().upgrade() {
                Some(open) => open,
                None => {
                    let state = State::<M>::new(self, topic);
                    let weak: Weak<State<M>> = Arc::downgrade(&state);
                    drop(place.insert(weak));
                    return Ok(Group { state });
                }
            },
            Place::Vacant(place) => {
                let state = State::<M>::new(self, topic);
                let weak: Weak<State<M>> = Arc::downgrade(&state);
                place.insert(weak);
                return Ok(Group { state });
            }
        };
        let (_, found) = open.message();
        match open.into_any().downcast::<State<M>>() {
            Ok(state) => Ok(Group { state }),
            Err(_) => Err(GroupError::WrongType {
                topic: topic.to_string(),
                wanted: type_name::<M>(),
                found,
            }),
        }
    }
}

struct State<M> {
    topic: Arc<str>,
    topics: Weak<Topics>,
    inside: Mutex<Inside<M>>,
}

struct Inside<M> {
    /// Copied when changed.
    members: Arc<Vec<Member<M>>>,
    watchers: Vec<Weak<Watcher>>,
}

struct Member<M> {
    actor: AnyRef,
    key: u32,
    deliver: Arc<dyn Fn(M) -> Tried + Send + Sync>,
}

impl<M> Clone for Member<M> {
    fn clone(&self) -> Self {
        Self {
            actor: self.actor.clone(),
            key: self.key,
            deliver: Arc::clone(&self.deliver),
        }
    }
}

impl<M: Send + 'static> AnyState for State<M> {
    fn message(&self) -> (TypeId, &'static str) {
        (TypeId::of::<M>(), type_name::<M>())
    }

    fn into_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync> {
        self
    }
}

impl<M> Drop for State<M> {
    fn drop(&mut self) {
        if let Some(topics) = self.topics.upgrade() {
            // Unless the topic was opened anew meanwhile.
            topics
                .open
                .remove_if(&self.topic, |_, group| group.strong_count() == 0);
        }
    }
}

impl<M: Send + 'static> State<M> {
    fn new(topics: &Arc<Topics>, topic: Arc<str>) -> Arc<Self> {
        Arc::new(Self {
            topic,
            topics: Arc::downgrade(topics),
            inside: Mutex::new(Inside {
                members: Arc::new(Vec::new()),
                watchers: Vec::new(),
            }),
        })
    }

    fn members(&self) -> Arc<Vec<Member<M>>> {
        Arc::clone(&self.inside.lock().members)
    }

    /// Changes the list of members; `change` says what to tell, and what to drop afterwards.
    fn change<R>(&self, change: impl FnOnce(&mut Vec<Member<M>>) -> (Option<Change>, R)) -> R {
        let mut wakers = Vec::new();
        let mut inside = self.inside.lock();
        let former = Arc::clone(&inside.members);
        let mut members = (*former).clone();
        let (told, result) = change(&mut members);
        inside.members = Arc::new(members);
        if let Some(told) = told {
            inside.watchers.retain(|watcher| {
                let Some(watcher) = watcher.upgrade() else {
                    return false;
                };
                wakers.extend(watcher.tell(told.clone()));
                true
            });
        }
        drop(inside);
        drop(former);
        wakers.into_iter().for_each(Waker::wake);
        result
    }

    /// The member of this actor, taken out; of this membership only, if there is a key.
    fn remove(&self, id: ActorId, key: Option<u32>) -> Option<Member<M>> {
        self.change(|members| {
            let is_it = |m: &Member<M>| m.actor.id() == id && key.is_none_or(|key| m.key == key);
            let Some(at) = members.iter().position(is_it) else {
                return (None, None);
            };
            let member = members.remove(at);
            (
                Some(Change::Left(MemberInfo::of(&member.actor))),
                Some(member),
            )
        })
    }
}

/// What the life of a member holds.
struct Membership<M> {
    state: Arc<State<M>>,
    id: ActorId,
    key: u32,
}

impl<M: Send + 'static> Hold for Membership<M> {
    fn let_go(&self) {
        drop(self.state.remove(self.id, Some(self.key)));
    }
}

/// A group of actors that get the messages of a topic, whatever their own types: each joins with a
/// function that turns the topic's message `M` into one of its own. OTP's `pg`, with types.
///
/// Members leave by [`leave`](Group::leave), or by ending for good: who has waited for that finds
/// them gone. A restart doesn't end a membership. Each runtime has topics of its own.
///
/// Being a member counts as a handle: an actor without a supervisor is not stopped for want of one
/// while it is in a group. The group lives as long as it has handles or members.
///
/// ```
/// use actor_core::{actor::groups::Group, prelude::*};
///
/// #[derive(Clone)]
/// struct Price(u32);
///
/// struct Screen {
///     last: u32,
/// }
/// #[actor]
/// impl Screen {
///     #[init]
///     fn new() -> Self { Screen { last: 0 } }
///     pub fn show(&mut self, price: u32) { self.last = price; }
///     pub fn last(&self) -> u32 { self.last }
/// }
///
/// # actor_core::Runtime::new().unwrap().run(async {
/// let prices = Group::<Price>::open("prices").unwrap();
/// let screen = Screen::start().await.unwrap();
/// prices.join(&screen, |screen, price| screen.show(price.0)).unwrap();
///
/// let report = prices.publish(Price(7)).await;
/// assert_eq!((report.delivered, report.is_complete()), (1, true));
/// assert_eq!(screen.last().await, Ok(7));
///
/// screen.stop().await;
/// assert_eq!(prices.publish(Price(8)).await.delivered, 0);
/// # });
/// ```
pub struct Group<M> {
    state: Arc<State<M>>,
}

impl<M: Send + 'static> Group<M> {
    /// The group of this topic; made, if nobody has it open and it has no members.
    ///
    /// # Errors
    /// [`GroupError::WrongType`] when the topic carries another type of message at present.
    ///
    /// # Panics
    /// Outside of a runtime.
    ///
    /// ```
    /// use actor_core::actor::groups::{Group, GroupError};
    /// # actor_core::Runtime::new().unwrap().run(async {
    /// let numbers = Group::<u32>::open("numbers").unwrap();
    /// let wrong = Group::<String>::open("numbers");
    /// assert!(matches!(wrong, Err(GroupError::WrongType { .. })));
    /// # drop(numbers);
    /// # });
    /// ```
    #[track_caller]
    pub fn open(topic: impl Into<Arc<str>>) -> Result<Self, GroupError> {
        of_runtime::<Topics>().open(topic.into())
    }

    /// Makes an actor a member. `call` turns a message of the topic into one of the actor's: it is
    /// called by whoever publishes, so it should do no more than that. Its answer is not waited for.
    ///
    /// Joining again replaces `call`; it is one membership still.
    ///
    /// # Errors
    /// [`GroupError::Stopped`] when the actor has ended.
    pub fn join<H, A, T, E, F>(&self, member: &H, call: F) -> Result<(), GroupError>
    where
        A: Actor,
        H: AsRef<ActorRef<A>> + Clone + Send + Sync + 'static,
        F: for<'a> Fn(&'a H, M) -> Call<'a, A, T, E> + Send + Sync + 'static,
        T: 'static,
        E: 'static,
    {
        let handle = member.clone();
        let deliver = Arc::new(move |message| try_tell(handle.as_ref(), || call(&handle, message)));
        let actor = AnyRef::new(member.as_ref().clone());
        let (id, key) = (actor.id(), next_key());
        let new = Member {
            actor: actor.clone(),
            key,
            deliver,
        };
        let former = self.state.change(|members| {
            match members.iter_mut().find(|known| known.actor.id() == id) {
                Some(known) => (None, Some(std::mem::replace(known, new))),
                None => {
                    members.push(new);
                    (Some(Change::Joined(MemberInfo::of(&actor))), None)
                }
            }
        });
        if let Some(former) = former {
            actor.unhold(former.key);
        }
        let state = Arc::clone(&self.state);
        if actor.hold(key, Arc::new(Membership { state, id, key })) {
            return Ok(());
        }
        drop(self.state.remove(id, Some(key)));
        Err(GroupError::Stopped {
            topic: self.topic().to_owned(),
        })
    }

    /// Takes an actor out; false when it was no member.
    pub fn leave<A: Actor>(&self, member: &impl AsRef<ActorRef<A>>) -> bool {
        let left = self.state.remove(member.as_ref().id(), None);
        if let Some(left) = &left {
            left.actor.unhold(left.key);
        }
        left.is_some()
    }

    /// The members, in the order in which they joined. OTP's `get_members`.
    #[must_use]
    pub fn members(&self) -> Vec<AnyRef> {
        let members = self.state.members();
        members.iter().map(|member| member.actor.clone()).collect()
    }

    /// The members now, and every change from now on. OTP's `monitor`.
    ///
    /// ```
    /// use actor_core::{actor::groups::{Change, Group}, prelude::*};
    ///
    /// struct Ear;
    /// #[actor]
    /// impl Ear {
    ///     #[init]
    ///     fn new() -> Self { Ear }
    ///     pub fn hear(&self, _word: String) {}
    /// }
    ///
    /// # actor_core::Runtime::new().unwrap().run(async {
    /// let words = Group::<String>::open("words").unwrap();
    /// let (members, mut changes) = words.monitor();
    /// assert!(members.is_empty());
    /// let ear = Ear::start().await.unwrap();
    /// words.join(&ear, |ear, word| ear.hear(word)).unwrap();
    /// ear.stop().await;
    /// assert!(matches!(changes.next().await, Change::Joined(who) if who.id == ear.id()));
    /// assert!(matches!(changes.next().await, Change::Left(who) if who.id == ear.id()));
    /// # });
    /// ```
    #[must_use]
    pub fn monitor(&self) -> (Vec<AnyRef>, Changes<M>) {
        let watcher = Arc::new(Watcher::default());
        let weak = Arc::downgrade(&watcher);
        let mut inside = self.state.inside.lock();
        inside.watchers.push(weak);
        let members = Arc::clone(&inside.members);
        drop(inside);
        let members = members.iter().map(|member| member.actor.clone()).collect();
        let group = self.clone();
        (members, Changes { watcher, group })
    }

    /// The topic.
    #[must_use]
    pub fn topic(&self) -> &str {
        &self.state.topic
    }
}

impl<M: Clone + Send + 'static> Group<M> {
    /// Sends a copy to every member, and waits for room where a mailbox is full and its overflow
    /// policy is to wait.
    ///
    /// The others have theirs before it waits, and full ones are waited for together. Everybody who
    /// did not get it is in the report, with the reason. A member whose mailbox stays full keeps this
    /// waiting: see [`publish_within`](Group::publish_within).
    ///
    /// Dropping the future takes back the copies that wait for room; those sent stay sent.
    pub async fn publish(&self, message: M) -> Report {
        self.deliver(message).finish(None).await
    }

    /// As [`publish`](Group::publish), for at most so long: what has found no room by then is
    /// reported as `Full`.
    pub async fn publish_within(&self, message: M, within: Duration) -> Report {
        self.deliver(message).finish(Some(within)).await
    }

    /// As [`publish`](Group::publish), without waiting: a full mailbox is reported as `Full`.
    pub fn try_publish(&self, message: M) -> Report {
        self.deliver(message).give_up()
    }

    fn deliver(&self, message: M) -> Delivery {
        let mut delivery = Delivery::default();
        for member in self.state.members().iter() {
            let tried = (member.deliver)(message.clone());
            delivery.add(|| member.actor.clone(), tried);
        }
        delivery
    }
}

impl<M> Clone for Group<M> {
    fn clone(&self) -> Self {
        Self {
            state: Arc::clone(&self.state),
        }
    }
}

impl<M> fmt::Debug for Group<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let members = self.state.inside.lock().members.len();
        f.debug_struct("Group")
            .field("topic", &self.state.topic)
            .field("message", &type_name::<M>())
            .field("members", &members)
            .finish()
    }
}

/// Makes an actor a member of the group of this topic: [`Group::open`] and [`Group::join`] in one.
///
/// # Errors
/// As those.
///
/// # Panics
/// Outside of a runtime.
///
/// ```
/// use actor_core::{actor::groups::{self, Group}, prelude::*};
///
/// struct Ear;
/// #[actor]
/// impl Ear {
///     #[init]
///     fn new() -> Self { Ear }
///     pub fn hear(&self, _word: String) {}
/// }
///
/// # actor_core::Runtime::new().unwrap().run(async {
/// let ear = Ear::start().await.unwrap();
/// groups::join("words", &ear, |ear, word: String| ear.hear(word)).unwrap();
/// let words = Group::<String>::open("words").unwrap();
/// assert_eq!(words.try_publish("hello".into()).delivered, 1);
/// # });
/// ```
#[track_caller]
pub fn join<M, H, A, T, E, F>(
    topic: impl Into<Arc<str>>,
    member: &H,
    call: F,
) -> Result<(), GroupError>
where
    M: Send + 'static,
    A: Actor,
    H: AsRef<ActorRef<A>> + Clone + Send + Sync + 'static,
    F: for<'a> Fn(&'a H, M) -> Call<'a, A, T, E> + Send + Sync + 'static,
    T: 'static,
    E: 'static,
{
    Group::open(topic)?.join(member, call)
}

/// A member that came or went; see [`Group::monitor`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// It joined.
    Joined(MemberInfo),
    /// It left, or ended for good.
    Left(MemberInfo),
}

/// Which actor joined or left. No handle: an unread change keeps nobody alive.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct MemberInfo {
    /// Its id.
    pub id: ActorId,
    /// Its name.
    pub name: String,
    /// Its Rust type, with its path.
    pub type_name: &'static str,
}

impl MemberInfo {
    fn of(actor: &AnyRef) -> Self {
        Self {
            id: actor.id(),
            name: actor.name().to_owned(),
            type_name: actor.type_name(),
        }
    }
}

#[derive(Default)]
struct Watcher {
    queue: Mutex<Queue>,
}

#[derive(Default)]
struct Queue {
    changes: VecDeque<Change>,
    waker: Option<Waker>,
}

impl Watcher {
    /// Who is to be woken once no lock is held.
    fn tell(&self, change: Change) -> Option<Waker> {
        let mut queue = self.queue.lock();
        queue.changes.push_back(change);
        queue.waker.take()
    }
}

/// The changes of a group since [`Group::monitor`], in order. What is not read is kept: read them,
/// or drop this.
pub struct Changes<M> {
    watcher: Arc<Watcher>,
    group: Group<M>,
}

impl<M> Changes<M> {
    /// The next change, when there is one. Dropping the future loses none.
    pub async fn next(&mut self) -> Change {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    /// The next change, if there is one already.
    pub fn try_next(&mut self) -> Option<Change> {
        self.watcher.queue.lock().changes.pop_front()
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Change> {
        if coop::poll_proceed(cx).is_pending() {
            return Poll::Pending;
        }
        let mut queue = self.watcher.queue.lock();
        if let Some(change) = queue.changes.pop_front() {
            return Poll::Ready(change);
        }
        Wait::of(WaitKind::Lifecycle).note(cx.waker());
        let former = match &queue.waker {
            Some(kept) if wait::same(kept, cx.waker()) => None,
            _ => queue.waker.replace(wait::keep(cx.waker())),
        };
        drop(queue);
        drop(former);
        Poll::Pending
    }
}

impl<M> fmt::Debug for Changes<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Changes")
            .field("group", &self.group)
            .finish_non_exhaustive()
    }
}

/// Why a group could not be opened or joined.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum GroupError {
    /// The topic carries another type of message.
    WrongType {
        /// The topic.
        topic: String,
        /// The type that was asked for.
        wanted: &'static str,
        /// The type it carries.
        found: &'static str,
    },
    /// The actor that was to join has ended for good.
    Stopped {
        /// The topic.
        topic: String,
    },
}

impl fmt::Display for GroupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WrongType {
                topic,
                wanted,
                found,
            } => write!(
                f,
                "the topic \"{topic}\" carries `{found}`, not `{wanted}`; use that type or another \
                 topic"
            ),
            Self::Stopped { topic } => write!(
                f,
                "an actor that is stopped can't join the group \"{topic}\"; start it first"
            ),
        }
    }
}

impl Error for GroupError {}
