//! What an idle actor costs, checked: the cell (mailbox, control, life) and the goroutine's future.

use std::{
    convert::Infallible,
    mem::{offset_of, size_of},
    sync::Arc,
};

use super::{
    Actor, ActorRef, Call, Cell, Ctx, Life, Message, Reply, control::Control, incarnation,
};
use crate::chan::Mailbox;

struct Unit;

struct Ping(Reply<Result<(), Infallible>>);

impl Message for Ping {}

impl Actor for Unit {
    type Msg = Ping;
    type Args = ();
    type Error = Infallible;
    type Handle = ActorRef<Self>;
    const NAME: &'static str = "unit";

    async fn init((): (), _: &Ctx<Self>) -> Result<Self, Infallible> {
        Ok(Unit)
    }

    async fn handle(&mut self, msg: Ping, _: &Ctx<Self>) {
        msg.0.send(Ok(()));
    }
}

#[test]
fn an_idle_actor_does_not_grow() {
    let cell = Cell::<Unit>::new("unit", false);
    let future = size_of_val(&incarnation::future(Arc::clone(&cell), (), ()));
    let arc_counts = 2 * size_of::<usize>();
    let sizes = format!(
        "cell {} + counts {arc_counts} (mailbox {}, life {}), future {future}, handle {}, call {}, \
         ask {}",
        size_of::<Cell<Unit>>(),
        size_of::<Mailbox<Ping>>(),
        size_of::<Life>(),
        size_of::<ActorRef<Unit>>(),
        size_of::<Call<'_, Unit, ()>>(),
        size_of::<super::Ask<'_, Unit, (), Infallible>>(),
    );
    println!("{sizes}");
    // With the seven words of a goroutine's header that is 160 bytes.
    assert!(size_of::<Mailbox<Ping>>() <= 24, "{sizes}");
    assert!(size_of::<Life>() <= 32, "{sizes}");
    assert!(size_of::<Cell<Unit>>() + arc_counts <= 88, "{sizes}");
    assert!(future <= 16, "{sizes}");
}

#[test]
fn what_the_actor_reads_and_what_senders_write_are_on_different_cache_lines() {
    let read = offset_of!(Cell<Unit>, control) + size_of::<Control>() - 1;
    let written = offset_of!(Cell<Unit>, mailbox) + Mailbox::<Ping>::WORD_AT;
    assert!(written - read >= 64, "{read} and {written}");
}
