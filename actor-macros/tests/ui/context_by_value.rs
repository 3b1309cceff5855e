use actor_core::prelude::*;

pub struct Bank;

#[actor]
impl Bank {
    #[init]
    fn new() -> Self {
        Bank
    }

    pub fn one(&mut self, ctx: Ctx<Self>) {
        drop(ctx);
    }

    pub fn two(&mut self, ctx: &mut Ctx<Self>) {
        let _ = ctx;
    }

    pub fn three(&mut self, a: &Ctx<Self>, b: &Ctx<Self>) {
        let _ = (a, b);
    }
}

fn main() {}
