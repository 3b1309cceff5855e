//! Names that could get in the way of generated ones, and a user who shadows the prelude.
#![deny(warnings)]

use actor_core::actor;
use actor_core::actor::{Ctx, StopReason};

#[allow(dead_code)]
type Result = ();
#[allow(dead_code)]
type Option = ();
#[allow(dead_code)]
type String = ();
#[allow(dead_code)]
trait Clone {}
#[allow(dead_code)]
trait Send {}
#[allow(dead_code, non_snake_case)]
fn Ok() {}
#[allow(dead_code)]
mod core {}
#[allow(dead_code)]
mod std {}

pub struct Actor {
    sum: usize,
}

#[actor(handle = Address)]
impl Actor {
    #[init]
    fn init(args: u8, id: u8, ctx: &Ctx<Actor>) -> Self {
        ctx.stop();
        Actor { sum: usize::from(args) + usize::from(id) }
    }

    pub fn handle(&mut self, msg: u8, reply: u8, ctx: u8, context: &Ctx<Self>) -> usize {
        context.stop();
        self.sum + usize::from(msg) + usize::from(reply) + usize::from(ctx)
    }

    pub fn r#type(&self, r#match: u8, _: u8, _unused: u8, mut more: u8) -> u8 {
        more += 1;
        r#match + more
    }

    pub fn self_(&mut self) {}

    pub fn _9(&mut self) {}

    pub async fn tick(&mut self, __actor_arg0: u8) -> u8 {
        __actor_arg0
    }

    pub fn message(&mut self, f: fn(&str) -> &str) -> &'static str {
        f("x");
        "y"
    }

    #[stopped]
    async fn stopped(self, _: &Ctx<Self>, why: StopReason) {
        let _ = why;
    }
}

pub fn describe() -> actor_core::supervise::Child<Actor> {
    Actor::child("a", 1, 2)
}

fn main() {}
