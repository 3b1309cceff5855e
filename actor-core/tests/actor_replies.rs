//! Replies that come later, from elsewhere, or never; and asks from threads that are no goroutines.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use actor_core::actor::{Actor, CallError, StopReason, TrySendError};
use actor_core::chan::{Receiver, Sender, buffered};
use actor_core::prelude::*;

/// A queue whose `pop` waits for a `push`, as a deferred `gen_server` reply does.
struct Queue {
    items: VecDeque<u64>,
    waiting: VecDeque<Reply<u64>>,
    checks: VecDeque<Reply<Result<u64, String>>>,
}

#[actor(mailbox = buffered(2))]
impl Queue {
    #[init]
    fn new() -> Self {
        Queue {
            items: VecDeque::new(),
            waiting: VecDeque::new(),
            checks: VecDeque::new(),
        }
    }

    pub fn push(&mut self, n: u64) -> bool {
        while let Some(reply) = self.waiting.pop_front() {
            if reply.is_wanted() {
                reply.send(n);
                return true;
            }
        }
        self.items.push_back(n);
        false
    }

    pub fn pop(&mut self, reply: Reply<u64>) {
        match self.items.pop_front() {
            Some(n) => reply.send(n),
            None => self.waiting.push_back(reply),
        }
    }

    /// The context and the reply stand where the user likes.
    pub async fn check(&mut self, ctx: &Ctx<Self>, reply: Reply<Result<u64, String>>, limit: u64) {
        assert_eq!(ctx.name(), "Queue");
        if limit == 0 {
            reply.send(Err("no limit".into()));
        } else {
            self.checks.push_back(reply);
        }
    }

    pub fn finish_checks(&mut self, with: Result<u64, String>) {
        for reply in self.checks.drain(..) {
            reply.send(with.clone());
        }
    }

    pub fn forget(&mut self, _reply: Reply<()>) {}

    pub fn forget_waiting(&mut self) -> usize {
        let wanted = self.waiting.iter().filter(|r| r.is_wanted()).count();
        self.waiting.clear();
        wanted
    }

    /// How many askers of `pop` and of `check` wait.
    pub fn kept(&mut self) -> (usize, usize) {
        (self.waiting.len(), self.checks.len())
    }

    pub fn crash_with(&mut self, _reply: Reply<u64>) {
        panic!("told to");
    }

    pub fn elsewhere(&mut self, reply: Reply<u64>) {
        drop(go(async move { reply.send(7) }));
    }

    pub fn on_a_thread(&mut self, reply: Reply<u64>) {
        thread::spawn(move || reply.send(8));
    }

    pub async fn block(&mut self, entered: Sender<()>, open: Receiver<()>) {
        entered.send(()).await.unwrap();
        open.recv().await;
    }

    #[stopped]
    fn close(self, _why: StopReason) {
        for reply in self.waiting {
            reply.send(0);
        }
    }
}

/// Waits until the actor has taken all of its messages.
async fn taken(queue: &QueueRef) {
    while queue.mailbox_len() != 0 {
        yield_now().await;
    }
}

#[actor_core::test]
async fn a_kept_reply_is_answered_by_another_handler_in_the_order_of_the_asks() {
    let queue = Queue::start().await.unwrap();
    let (one, two) = (queue.clone(), queue.clone());
    let first = go(async move { one.pop().await });
    while queue.kept().await.unwrap().0 == 0 {}
    let second = go(async move { two.pop().await });
    while queue.kept().await.unwrap().0 == 1 {}
    assert_eq!(queue.push(1).await, Ok(true));
    assert_eq!(queue.push(2).await, Ok(true));
    assert_eq!(first.await.unwrap(), Ok(1));
    assert_eq!(second.await.unwrap(), Ok(2));
    assert_eq!(queue.push(3).await, Ok(false));
    assert_eq!(queue.pop().await, Ok(3), "and at once if it can be");
}

#[actor_core::test]
async fn a_reply_may_fail_and_may_come_from_a_goroutine_or_a_thread() {
    let queue = Queue::start().await.unwrap();
    assert_eq!(
        queue.check(0).await,
        Err(CallError::Failed("no limit".into()))
    );
    let asker = queue.clone();
    let later = go(async move { asker.check(5).await });
    while queue.kept().await.unwrap().1 == 0 {}
    queue.finish_checks(Ok(9)).await.unwrap();
    assert_eq!(later.await.unwrap(), Ok(9));
    assert_eq!(queue.elsewhere().await, Ok(7));
    assert_eq!(queue.on_a_thread().await, Ok(8));
}

#[actor_core::test]
async fn an_unanswered_reply_tells_the_asker_whether_it_was_dropped_or_the_handler_panicked() {
    let queue = Queue::start().await.unwrap();
    assert_eq!(queue.forget().await, Err(CallError::NoReply));
    let asker = queue.clone();
    let kept = go(async move { asker.pop().await });
    while queue.kept().await.unwrap().0 == 0 {}
    assert_eq!(queue.forget_waiting().await, Ok(1));
    assert_eq!(kept.await.unwrap(), Err(CallError::NoReply));
    assert_eq!(queue.crash_with().await, Err(CallError::Panicked));
    assert_eq!(queue.pop().await, Err(CallError::Stopped));
}

#[actor_core::test]
async fn a_reply_whose_asker_has_gone_is_not_wanted_and_a_tell_s_never_is() {
    let queue = Queue::start().await.unwrap();
    let asker = queue.clone();
    let gone = go(async move { asker.pop().await });
    while queue.kept().await.unwrap().0 == 0 {}
    gone.abort();
    assert!(gone.await.is_err());
    queue.pop().tell().await.unwrap();
    assert_eq!(queue.push(5).await, Ok(false), "neither is answered");
    assert_eq!(queue.pop().await, Ok(5));
}

#[actor_core::test]
async fn kept_replies_are_answered_by_the_stop_hook_or_told_of_a_kill() {
    let queue = Queue::start().await.unwrap();
    let asker = queue.clone();
    let kept = go(async move { asker.pop().await });
    while queue.kept().await.unwrap().0 == 0 {}
    queue.stop().await;
    assert_eq!(kept.await.unwrap(), Ok(0));

    let queue = Queue::start().await.unwrap();
    let asker = queue.clone();
    let kept = go(async move { asker.pop().await });
    while queue.kept().await.unwrap().0 == 0 {}
    queue.kill().await;
    assert_eq!(kept.await.unwrap(), Err(CallError::Stopped));
}

#[actor]
impl Front {
    #[init]
    fn new(back: QueueRef) -> Self {
        Front { back }
    }

    pub async fn pop(&mut self, reply: Reply<u64>) {
        self.back.pop().forward(reply).await;
    }

    pub async fn check(&mut self, limit: u64, reply: Reply<Result<u64, String>>) {
        self.back.check(limit).forward(reply).await;
    }

    /// The other handler returns its value; the asker can't see a difference.
    pub fn push(&mut self, n: u64, reply: Reply<bool>) {
        self.back.push(n).try_forward(reply).unwrap();
    }

    pub fn refused(&mut self, reply: Reply<u64>) {
        match self.back.pop().try_forward(reply) {
            Err(TrySendError::Closed(_)) => {}
            other => panic!("{other:?}"),
        }
    }

    pub fn alive(&mut self) {}
}

struct Front {
    back: QueueRef,
}

#[actor_core::test]
async fn a_forwarded_call_is_answered_by_the_other_actor_while_the_first_one_goes_on() {
    let back = Queue::start().await.unwrap();
    let front = Front::start(back.clone()).await.unwrap();
    let asker = front.clone();
    let popped = go(async move { asker.pop().await });
    while back.kept().await.unwrap().0 == 0 {}
    assert_eq!(front.alive().await, Ok(()), "the front does not wait");
    assert_eq!(front.push(4).await, Ok(true));
    assert_eq!(popped.await.unwrap(), Ok(4));
    assert_eq!(
        front.check(0).await,
        Err(CallError::Failed("no limit".into()))
    );
}

#[actor_core::test]
async fn a_forwarded_asker_is_told_of_the_other_actors_end() {
    let back = Queue::start().await.unwrap();
    let front = Front::start(back.clone()).await.unwrap();
    let asker = front.clone();
    let popped = go(async move { asker.pop().await });
    while back.kept().await.unwrap().0 == 0 {}
    back.kill().await;
    assert_eq!(popped.await.unwrap(), Err(CallError::Stopped));
    assert_eq!(
        front.pop().await,
        Err(CallError::Stopped),
        "it was stopped already"
    );
    assert_eq!(front.refused().await, Err(CallError::NoReply));
    assert_eq!(front.alive().await, Ok(()));
}

#[test]
fn actors_say_whether_they_keep_replies() {
    const { assert!(Queue::DEFERS_REPLIES && Front::DEFERS_REPLIES && !Plain::DEFERS_REPLIES) }
}

struct Plain;

#[actor]
impl Plain {
    #[init]
    fn new() -> Self {
        Plain
    }
    pub fn ping(&mut self) {}
}

/// A blocked queue whose mailbox is full.
async fn full_queue() -> (QueueRef, Sender<()>) {
    let queue = Queue::start().await.unwrap();
    let (entered, is_in) = buffered(1);
    let (open, gate) = buffered(1);
    queue.block(entered, gate).tell().await.unwrap();
    is_in.recv().await.unwrap();
    queue.push(1).try_tell().unwrap();
    queue.push(2).try_tell().unwrap();
    assert!(queue.push(3).try_tell().unwrap_err().is_full());
    (queue, open)
}

#[test]
fn a_blocking_ask_waits_for_room_in_a_full_mailbox() {
    let rt = actor_core::Runtime::new().unwrap();
    let (queue, open) = rt.block_on(full_queue());
    let has_asked = Arc::new(AtomicBool::new(false));
    let asker = thread::spawn({
        let has_asked = has_asked.clone();
        move || {
            has_asked.store(true, Ordering::SeqCst);
            (queue.push(3).blocking(), queue.pop().blocking())
        }
    });
    while !has_asked.load(Ordering::SeqCst) {
        thread::yield_now();
    }
    open.send_blocking(()).unwrap();
    assert_eq!(asker.join().unwrap(), (Ok(false), Ok(1)));
}

#[test]
fn a_blocking_ask_is_told_when_the_actor_stops_whether_it_waits_for_room_or_for_the_answer() {
    let rt = actor_core::Runtime::new().unwrap();
    let (queue, open) = rt.block_on(full_queue());
    let asker = {
        let queue = queue.clone();
        thread::spawn(move || queue.push(3).blocking())
    };
    let stopping = queue.stop_now(); // closes the mailbox: whoever waits for room gets it back
    assert_eq!(asker.join().unwrap(), Err(CallError::Stopped));
    open.send_blocking(()).unwrap();
    rt.block_on(stopping);

    let queue = rt.block_on(Queue::start()).unwrap();
    let asker = {
        let queue = queue.clone();
        thread::spawn(move || queue.pop().blocking())
    };
    while queue.kept().blocking().unwrap().0 == 0 {}
    drop(rt.block_on(queue.kill()));
    assert_eq!(asker.join().unwrap(), Err(CallError::Stopped));
}

#[test]
fn a_blocking_ask_with_a_limit_needs_no_runtime_and_takes_an_unsent_message_back() {
    let rt = actor_core::Runtime::new().unwrap();
    let (queue, open) = rt.block_on(full_queue());
    let limit = Duration::from_millis(2);
    let start = actor_core::Instant::now();
    assert_eq!(
        queue.push(3).blocking_timeout(limit),
        Err(CallError::Timeout)
    );
    assert!(start.elapsed() >= limit);
    open.send_blocking(()).unwrap();
    rt.block_on(taken(&queue));
    assert_eq!(
        queue.pop().blocking_timeout(Duration::from_secs(60)),
        Ok(1),
        "in time"
    );
    assert_eq!(queue.pop().blocking_timeout(Duration::MAX), Ok(2));
    assert_eq!(
        queue.pop().blocking_timeout(limit),
        Err(CallError::Timeout),
        "the third one was taken back, so nothing is there"
    );
    drop(rt.block_on(queue.stop()));
    assert_eq!(queue.pop().blocking_timeout(limit), Err(CallError::Stopped));
}
