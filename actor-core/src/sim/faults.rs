//! What goes wrong in a run, by the seed.
//!
//! A rule says what may happen to whom and how likely it is; whether it does is one more choice of the
//! run. Faults end with the test: what is stopped afterwards is stopped undisturbed.

use std::collections::HashSet;
use std::ops::Range;
use std::task::Waker;
use std::time::Duration;

use super::world::{self, World};
use crate::actor::{Actor, ActorRef, AnyRef};
use crate::sched::simulated::{self, Delivered, Fate};
use crate::sched::{Instant, go_named, sleep};
use crate::supervise::SupervisorRef;

/// What is to go wrong in this run; see [`Sim::faults`](super::Sim::faults). The methods add up, and can
/// be called at any time; [`end`](Self::end) ends them all.
///
/// | | |
/// |---|---|
/// | the handler of a message panics | [`panic_once_in`](Self::panic_once_in), [`panic_at`](Self::panic_at), [`panic`](Self::panic) |
/// | or begins late | [`stall`](Self::stall) |
/// | a tell is lost | [`drop_tell`](Self::drop_tell), [`drop_tell_to`](Self::drop_tell_to) |
/// | an answer is lost | [`drop_reply`](Self::drop_reply) |
/// | senders are held back | [`delay`](Self::delay), [`full_mailbox`](Self::full_mailbox), [`partition`](Self::partition) |
/// | an actor, or a tree of them, is killed | [`kill`](Self::kill), [`kill_subtree`](Self::kill_subtree) |
/// | the clock leaps | [`clock_jump`](Self::clock_jump) |
///
/// Everything here is what can happen to a program that keeps to the library's promises. An accepted
/// message has exactly one fate: it is handled, or its asker is told why not, or, if it was told, it
/// becomes a dead letter. So a tell that is lost becomes one
/// ([`DeadLetterReason::Lost`](crate::actor::DeadLetterReason::Lost)). And so no fault *doubles* a message
/// or changes the order of one sender's: nothing in the library could, and an actor need not be ready for
/// it. What makes doubles in real programs is a sender that tries again after a lost answer, and that is
/// what `drop_reply` is for.
///
/// A fault is drawn by the seed and shows in the steps of a report, as `fault: ..`.
///
/// # Panics
/// Methods that take a probability do if it isn't one, from 0 to 1; all of them outside of a simulation.
///
/// ```
/// use std::time::Duration;
/// use actor_core::{actor::CallError, prelude::*, sim, sometimes};
///
/// struct Till { cents: u64 }
///
/// #[actor]
/// impl Till {
///     #[init]
///     fn new() -> Self { Till { cents: 0 } }
///     pub fn put(&mut self, cents: u64) -> u64 { self.cents += cents; self.cents }
/// }
///
/// sim::check(|sim| async move {
///     let till = sim.supervise(Till::child("till")).await.unwrap();
///     sim.faults().panic_once_in(&till, "put").stall(&till, Duration::from_millis(200));
///     for _ in 0..10 {
///         let answer = till.put(1).await;
///         sometimes!(answer == Err(CallError::Panicked), "a put panics");
///     }
/// })
/// .seeds(50)
/// .run();
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Faults(());

#[derive(Debug)]
enum What {
    PanicOnce,
    PanicAt(u64),
    Panic(f64),
    Stall(Duration),
    Full,
    Lose(f64),
}

#[derive(Debug)]
struct Rule {
    actor: u64,
    message: Option<String>,
    what: What,
}

struct Cut {
    key: u64,
    one: HashSet<u64>,
    other: HashSet<u64>,
    held: Vec<Waker>,
}

/// A goroutine whose message to an actor is delayed.
struct Delayed {
    from: u64,
    to: u64,
    until: Instant,
    waker: Waker,
}

#[derive(Default)]
pub(super) struct Rules {
    rules: Vec<Rule>,
    drop_reply: f64,
    drop_tell: f64,
    delay: Option<(f64, Range<Duration>)>,
    jump: Option<(f64, Duration)>,
    cuts: Vec<Cut>,
    next_cut: u64,
    delayed: Vec<Delayed>,
}

/// How likely a fault is that has no probability of its own, each time it could happen.
const OFTEN: f64 = 0.25;

impl Faults {
    pub(super) fn new() -> Self {
        Self(())
    }

    fn rule<A: Actor>(self, actor: &ActorRef<A>, message: Option<&str>, what: What) -> Self {
        world::current().rules.borrow_mut().rules.push(Rule {
            actor: actor.id().number(),
            message: message.map(str::to_owned),
            what,
        });
        self
    }

    /// Nothing goes wrong any more from here on: for a look at what has become of all. Partitions are
    /// healed, and who was to be killed is spared.
    ///
    /// ```
    /// use actor_core::{prelude::*, sim};
    ///
    /// struct Till { cents: u64 }
    ///
    /// #[actor]
    /// impl Till {
    ///     #[init]
    ///     fn new() -> Self { Till { cents: 0 } }
    ///     pub fn put(&mut self, cents: u64) { self.cents += cents; }
    ///     pub fn cents(&self) -> u64 { self.cents }
    /// }
    ///
    /// sim::check(|sim| async {
    ///     let till = sim.supervise(Till::child("till")).await.unwrap();
    ///     sim.faults().drop_tell(0.1).drop_reply(0.1);
    ///     for _ in 0..10 {
    ///         till.put(1).tell().await.unwrap();
    ///     }
    ///     sim.faults().end();
    ///     assert!(till.cents().await.unwrap() <= 10);
    /// })
    /// .run();
    /// ```
    pub fn end(self) {
        world::current().end_faults();
    }

    /// The actor's handler of this message (a method's name) panics once, at one of the first times.
    #[track_caller]
    pub fn panic_once_in<A: Actor>(self, actor: &impl AsRef<ActorRef<A>>, message: &str) -> Self {
        self.rule(actor.as_ref(), Some(message), What::PanicOnce)
    }

    /// The actor panics at its `nth` message from now on, counted from 1, whatever it is.
    #[track_caller]
    pub fn panic_at<A: Actor>(self, actor: &impl AsRef<ActorRef<A>>, nth: u64) -> Self {
        self.rule(actor.as_ref(), None, What::PanicAt(nth.max(1)))
    }

    /// The actor panics at each message with this probability.
    #[track_caller]
    pub fn panic<A: Actor>(self, actor: &impl AsRef<ActorRef<A>>, probability: f64) -> Self {
        self.rule(actor.as_ref(), None, What::Panic(checked(probability)))
    }

    /// Tells are lost on their way with this probability: the sender is told that all is well, and the
    /// message becomes a dead letter, with the reason
    /// [`Lost`](crate::actor::DeadLetterReason::Lost). As if the actor had been killed with the message
    /// in its mailbox.
    ///
    /// Asks are not lost: their senders would notice. For what they see, an answer that doesn't come,
    /// there is [`drop_reply`](Self::drop_reply).
    ///
    /// ```
    /// use actor_core::{prelude::*, sim, sometimes};
    ///
    /// struct Log { lines: u32 }
    ///
    /// #[actor]
    /// impl Log {
    ///     #[init]
    ///     fn new() -> Self { Log { lines: 0 } }
    ///     pub fn write(&mut self) { self.lines += 1; }
    ///     pub fn lines(&self) -> u32 { self.lines }
    /// }
    ///
    /// sim::check(|sim| async {
    ///     let log = Log::start().await.unwrap();
    ///     sim.faults().drop_tell(0.2);
    ///     log.write().tell().await.unwrap();
    ///     let lines = log.lines().await.unwrap();
    ///     sometimes!(lines == 0, "the line is lost");
    ///     sometimes!(lines == 1, "the line is written");
    /// })
    /// .run();
    /// ```
    #[track_caller]
    pub fn drop_tell(self, probability: f64) -> Self {
        world::current().rules.borrow_mut().drop_tell = checked(probability);
        self
    }

    /// As [`drop_tell`](Self::drop_tell), for what is told to this actor only.
    #[track_caller]
    pub fn drop_tell_to<A: Actor>(self, actor: &impl AsRef<ActorRef<A>>, probability: f64) -> Self {
        self.rule(actor.as_ref(), None, What::Lose(checked(probability)))
    }

    /// Some messages are handled late, by up to this much: the actor stands still before them.
    #[track_caller]
    pub fn stall<A: Actor>(self, actor: &impl AsRef<ActorRef<A>>, up_to: Duration) -> Self {
        self.rule(actor.as_ref(), None, What::Stall(up_to))
    }

    /// The actor's mailbox looks full to some of those who send: they wait a while, or get what its
    /// overflow policy says. Who drops the oldest message to make room is not concerned: nothing of
    /// its own is refused.
    #[track_caller]
    pub fn full_mailbox<A: Actor>(self, actor: &impl AsRef<ActorRef<A>>) -> Self {
        self.rule(actor.as_ref(), None, What::Full)
    }

    /// Answers are lost with this probability: the asker gets
    /// [`CallError::NoReply`](crate::actor::CallError::NoReply), although its message was handled.
    #[track_caller]
    pub fn drop_reply(self, probability: f64) -> Self {
        world::current().rules.borrow_mut().drop_reply = checked(probability);
        self
    }

    /// Those who send, tells and asks, are held back with this probability, for a time in the range.
    /// The order of one sender's messages stays what it is.
    #[track_caller]
    pub fn delay(self, probability: f64, range: Range<Duration>) -> Self {
        world::current().rules.borrow_mut().delay = Some((checked(probability), range));
        self
    }

    /// The clock leaps, with this probability each time it moves: what is due within `by` fires all at
    /// once, and late. What a suspended laptop or a paused virtual machine sees.
    #[track_caller]
    pub fn clock_jump(self, probability: f64, by: Duration) -> Self {
        world::current().rules.borrow_mut().jump = Some((checked(probability), by));
        self
    }

    /// The actor is killed at some moment within this time.
    #[track_caller]
    pub fn kill<A: Actor>(self, actor: &impl AsRef<ActorRef<A>>, within: Duration) -> Self {
        let actor = actor.as_ref().clone();
        let world = world::current();
        let at = world.within(within);
        let killer = go_named("fault", async move {
            sleep(at).await;
            world::current().note(format!("fault: \"{}\" is killed", actor.name()));
            let _ = actor.kill().await;
        });
        world.help(killer.abort_handle());
        self
    }

    /// The supervisor and all below it are killed at some moment within this time.
    #[track_caller]
    pub fn kill_subtree(self, supervisor: &SupervisorRef, within: Duration) -> Self {
        let supervisor = supervisor.clone();
        let world = world::current();
        let at = world.within(within);
        let killer = go_named("fault", async move {
            sleep(at).await;
            let name = supervisor.name();
            world::current().note(format!("fault: all of \"{name}\" is killed"));
            let _ = supervisor.kill().await;
        });
        world.help(killer.abort_handle());
        self
    }

    /// Cuts two groups of actors off from each other: what one's handlers send to the other waits until
    /// the partition is healed. Several may exist at a time.
    ///
    /// It doesn't concern what goroutines send that are no actors.
    #[track_caller]
    pub fn partition(
        self,
        one: impl IntoIterator<Item = AnyRef>,
        other: impl IntoIterator<Item = AnyRef>,
    ) -> Partition {
        let ids = |group: &mut dyn Iterator<Item = AnyRef>| -> HashSet<u64> {
            group.map(|actor| actor.id().number()).collect()
        };
        let (one, other) = (ids(&mut one.into_iter()), ids(&mut other.into_iter()));
        let world = world::current();
        world.note("fault: a partition begins".to_owned());
        let mut rules = world.rules.borrow_mut();
        let key = rules.next_cut;
        rules.next_cut += 1;
        rules.cuts.push(Cut {
            key,
            one,
            other,
            held: Vec::new(),
        });
        Partition { key }
    }
}

/// A partition that lasts until it is healed, or dropped; see [`Faults::partition`].
#[derive(Debug)]
#[must_use = "the partition is healed when this is dropped"]
pub struct Partition {
    key: u64,
}

impl Partition {
    /// Ends it: what was held back is sent.
    pub fn heal(self) {}
}

impl Drop for Partition {
    fn drop(&mut self) {
        let Some(world) = world::try_current() else {
            return;
        };
        let mut rules = world.rules.borrow_mut();
        let Some(at) = rules.cuts.iter().position(|cut| cut.key == self.key) else {
            return; // all faults have ended
        };
        let healed = rules.cuts.swap_remove(at);
        drop(rules);
        world.note("fault: a partition is healed".to_owned());
        healed.held.into_iter().for_each(Waker::wake);
    }
}

/// A probability that is one.
#[track_caller]
fn checked(probability: f64) -> f64 {
    assert!(
        (0.0..=1.0).contains(&probability),
        "a fault with the probability {probability}: it must be from 0 to 1"
    );
    probability
}

impl Rules {
    /// No more faults.
    pub(super) fn end(world: &World) {
        let ended = world.rules.take();
        // Whoever holds a partition that has ended must not heal a later one.
        world.rules.borrow_mut().next_cut = ended.next_cut;
        let held = ended.cuts.into_iter().flat_map(|cut| cut.held);
        let delayed = ended.delayed.into_iter().map(|delayed| delayed.waker);
        held.chain(delayed).for_each(Waker::wake);
    }

    pub(super) fn hold(world: &World, to: u64, waker: &Waker) -> bool {
        let goroutine = simulated::running();
        let from = world.actors.borrow().get(&goroutine).copied();
        let (delay, looks_full) = {
            let mut rules = world.rules.borrow_mut();
            let apart = |cut: &&mut Cut| {
                from.is_some_and(|from| {
                    let (one, other) = (&cut.one, &cut.other);
                    one.contains(&from) && other.contains(&to)
                        || other.contains(&from) && one.contains(&to)
                })
            };
            if let Some(cut) = rules.cuts.iter_mut().find(apart) {
                cut.held.push(waker.clone());
                return true;
            }
            if let Some(is_early) = rules.is_early(goroutine, to, waker) {
                return is_early;
            }
            let full = |rule: &Rule| rule.actor == to && matches!(rule.what, What::Full);
            (rules.delay.clone(), rules.rules.iter().any(full))
        };
        let pause = match delay {
            Some((probability, range)) if world.happens(probability) => {
                range.start + world.within(range.end.saturating_sub(range.start))
            }
            _ if looks_full && world.happens(OFTEN) => world.within(Duration::from_millis(10)),
            _ => return false,
        };
        let until = Instant::now() + pause.max(Duration::from_nanos(1));
        world.rules.borrow_mut().delayed.push(Delayed {
            from: goroutine,
            to,
            until,
            waker: waker.clone(),
        });
        simulated::wake_at(until, waker);
        true
    }

    /// Of a message that was delayed, whether it still is: each is once.
    fn is_early(&mut self, from: u64, to: u64, waker: &Waker) -> Option<bool> {
        let now = Instant::now();
        // Who was delayed comes back in time, or has called its message off.
        self.delayed.retain(|delayed| delayed.until >= now);
        let is_it = |delayed: &Delayed| (delayed.from, delayed.to) == (from, to);
        let at = self.delayed.iter().position(is_it)?;
        let delayed = &mut self.delayed[at];
        if delayed.until == now {
            self.delayed.swap_remove(at);
            return Some(false);
        }
        delayed.waker.clone_from(waker);
        simulated::wake_at(delayed.until, waker);
        Some(true)
    }

    pub(super) fn is_full(world: &World, actor: u64) -> bool {
        let looks_full = {
            let rules = world.rules.borrow();
            let full = |rule: &Rule| rule.actor == actor && matches!(rule.what, What::Full);
            rules.rules.iter().any(full)
        };
        looks_full && world.happens(OFTEN)
    }

    /// Whether this tell is lost, unless its actor is stopped and would refuse it.
    pub(super) fn loses_tell(world: &World, what: Delivered<'_>) -> bool {
        let arrives = {
            let rules = world.rules.borrow();
            let in_spite_of = |rule: &Rule| match rule.what {
                What::Lose(probability) if rule.actor == what.actor => 1.0 - probability,
                _ => 1.0,
            };
            let each = rules.rules.iter().map(in_spite_of);
            (1.0 - rules.drop_tell) * each.product::<f64>()
        };
        let is_lost = world.happens(1.0 - arrives);
        if is_lost {
            world.note(format!(
                "fault: `{}` to \"{}\" is lost",
                what.message, what.name
            ));
        }
        is_lost
    }

    /// Counts a message to this actor; true if it is the nth that somebody waits for.
    fn is_nth(&mut self, actor: u64) -> bool {
        let before = self.rules.len();
        self.rules.retain_mut(|rule| match &mut rule.what {
            What::PanicAt(left) if rule.actor == actor => {
                *left -= 1;
                *left > 0
            }
            _ => true,
        });
        self.rules.len() < before
    }

    pub(super) fn deliver(world: &World, what: Delivered<'_>) -> Fate {
        if world.rules.borrow_mut().is_nth(what.actor) {
            return panics(world, what);
        }
        let mut at = 0;
        loop {
            // The choice is made without the borrow.
            let (probability, stall, once) = {
                let rules = world.rules.borrow();
                let Some(rule) = rules.rules.get(at) else {
                    return Fate::Handled;
                };
                at += 1;
                let concerns = rule.actor == what.actor
                    && rule.message.as_deref().is_none_or(|m| m == what.message);
                if !concerns {
                    continue;
                }
                match rule.what {
                    What::PanicAt(_) | What::Full | What::Lose(_) => continue,
                    What::PanicOnce => (OFTEN, None, true),
                    What::Panic(probability) => (probability, None, false),
                    What::Stall(limit) => (OFTEN, Some(limit), false),
                }
            };
            if !world.happens(probability) {
                continue;
            }
            if once {
                world.rules.borrow_mut().rules.remove(at - 1);
            }
            return match stall {
                None => panics(world, what),
                Some(limit) => {
                    let pause = world.within(limit);
                    world.note(format!("fault: \"{}\" stalls for {pause:?}", what.name));
                    Fate::Stalls(pause)
                }
            };
        }
    }

    pub(super) fn loses_reply(world: &World) -> bool {
        let probability = world.rules.borrow().drop_reply;
        let lost = world.happens(probability);
        if lost {
            world.note("fault: an answer is lost".to_owned());
        }
        lost
    }

    /// When the clock stops next that was to move to `next`.
    pub(super) fn jump(world: &World, next: Instant) -> Instant {
        let Some((probability, by)) = world.rules.borrow().jump else {
            return next;
        };
        if !world.happens(probability) {
            return next;
        }
        world.note(format!("fault: the clock jumps by {by:?}"));
        next + by
    }
}

fn panics(world: &World, what: Delivered<'_>) -> Fate {
    world.note(format!(
        "fault: \"{}\" panics in `{}`",
        what.name, what.message
    ));
    Fate::Panics
}
