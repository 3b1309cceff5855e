//! Actors as the workers of a pool: beside each runs a goroutine, its feeder, which takes the next job
//! from the pool's channel when its actor is free, and asks it.
//!
//! - A feeder takes no job while its actor is down: the others do those. A crash costs the job that the
//!   actor was at, whose submitter is told.
//! - A reply that says "crashed" comes before the end is told, so the feeder waits for that: but not
//!   for long, since it may be another's panic that dropped a reply. A job that is taken in the moment
//!   of an end after all waits in the actor's mailbox for the next incarnation.
//! - An actor is started before its feeder and stopped after it: a feeder that helps to empty the
//!   channel has its actor to do so.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    sync::{Arc, Weak},
    task::Poll,
    time::Duration,
};

use super::work_pool::{Job, Worker};
use crate::{
    actor::{Actor, ActorRef, Call, CallError, Monitor},
    chan::Receiver,
    sched::timeout,
    supervise::{Child, ChildSpec, StopSignal},
};

/// The end of an actor that has crashed is told within this, or it has not crashed.
const END_WITHIN: Duration = Duration::from_millis(50);

type Jobs<J, R, E> = Receiver<Job<J, R, E>>;

/// How workers are made of actors; `None` when the pool is gone.
pub(super) fn workers_of<A, J, R, E, F>(
    open: Weak<Jobs<J, R, E>>,
    mut make: impl FnMut(usize) -> Child<A> + Send + 'static,
    call: F,
) -> impl FnMut(usize) -> Option<Worker> + Send
where
    A: Actor,
    J: Send + 'static,
    R: Send + 'static,
    E: Send + 'static,
    F: for<'a> Fn(&'a A::Handle, J) -> Call<'a, A, R, E> + Send + Sync + 'static,
{
    let call = Arc::new(call);
    move |index| {
        let todo = open.upgrade()?;
        let child = make(index);
        let (actor, handle) = (child.actor_ref(), child.handle());
        let call = Arc::clone(&call);
        let id = format!("jobs of {}", child.id());
        let feeder = ChildSpec::go_until(id, move |stop| {
            let (todo, call) = (Arc::clone(&todo), Arc::clone(&call));
            feed(todo, actor.clone(), handle.clone(), call, stop)
        });
        Some(Worker::of([child.into(), feeder]))
    }
}

async fn feed<A, J, R, E, F>(
    todo: Arc<Jobs<J, R, E>>,
    actor: ActorRef<A>,
    handle: A::Handle,
    call: Arc<F>,
    stop: StopSignal,
) where
    A: Actor,
    F: for<'a> Fn(&'a A::Handle, J) -> Call<'a, A, R, E>,
{
    // Whether the actor goes on.
    let ask = async |Job { job, reply }: Job<J, R, E>| {
        let answer = call(&handle, job).await;
        let crashed = matches!(
            answer,
            Err(CallError::Panicked | CallError::TimedOut | CallError::Stopped)
        );
        reply.send(answer);
        !crashed
    };
    let mut life = None;
    while let Some(job) = next(&todo, &actor, &mut life, &stop).await {
        if !ask(job).await
            && let Some(monitor) = &mut life
        {
            // Told or not: `next` looks.
            drop(timeout(END_WITHIN, monitor).await);
        }
    }
    // To stop: first what waits still, unless the others are faster.
    for _ in 0..todo.len() {
        if actor.is_stopped() {
            break;
        }
        let Ok(job) = todo.try_recv() else { break };
        ask(job).await;
    }
    // The channel may have ended for want of handles, which is no reason to end.
    stop.requested().await;
}

/// The next job, when the actor is up; `None` when the feeder is to stop, or there can be none. `life`
/// is kept from job to job: a monitor of the incarnation that was up.
async fn next<A: Actor, T>(
    todo: &Receiver<T>,
    actor: &ActorRef<A>,
    life: &mut Option<Monitor>,
    stop: &StopSignal,
) -> Option<T> {
    let mut stop = pin!(stop.requested());
    loop {
        let monitor = match life {
            Some(monitor) => monitor,
            None => {
                let mut up = pin!(actor.until_running());
                poll_fn(|cx| match stop.as_mut().poll(cx) {
                    Poll::Ready(()) => Poll::Ready(None),
                    Poll::Pending => up.as_mut().poll(cx).map(Some),
                })
                .await?;
                life.insert(actor.monitor())
            }
        };
        let (mut gone, mut job) = (pin!(monitor), pin!(todo.recv()));
        let next = poll_fn(|cx| {
            if stop.as_mut().poll(cx).is_ready() {
                Poll::Ready(Some(None))
            } else if gone.as_mut().poll(cx).is_ready() {
                Poll::Ready(None)
            } else {
                job.as_mut().poll(cx).map(Some)
            }
        })
        .await;
        match next {
            Some(job) => return job,
            None => *life = None,
        }
    }
}
