use actor_core::prelude::*;

pub struct InPerson;

#[actor(mailbox = rendezvous, overflow = drop_oldest, high_water = 4)]
impl InPerson {
    #[init]
    fn new() -> Self {
        InPerson
    }

    #[batch]
    pub fn add(&mut self, items: &mut actor_core::actor::Batch<u64>) {
        let _ = items;
    }
}

pub struct Endless;

#[actor(mailbox = unbounded, overflow = fail, low_water = 3)]
impl Endless {
    #[init]
    fn new() -> Self {
        Endless
    }

    #[high_water]
    fn crowded(change: &actor_core::actor::Pressure<'_>) {
        change.trace();
    }
}

pub struct Marks;

#[actor(mailbox = buffered(8), overflow = lose, high_water = 9, low_water = 9)]
impl Marks {
    #[init]
    fn new() -> Self {
        Marks
    }
}

fn main() {}
