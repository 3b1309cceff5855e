//! `#[poison]` without a policy, with a wrong one, twice, where there is no message, and a retry of
//! what can't be tried again.
use actor_core::actor;
use actor_core::prelude::*;
use actor_core::actor::Batch;

struct Sheet;
struct Printer;

#[actor]
impl Printer {
    #[init]
    #[poison(drop)]
    fn new() -> Self {
        Printer
    }

    #[poison]
    pub fn print(&mut self) {}

    #[poison(again)]
    pub fn print_again(&mut self) {}

    #[poison(retry)]
    pub fn scan(&mut self) {}

    #[poison(retry(0))]
    pub fn copy(&mut self) {}

    #[poison(drop)]
    #[poison(dead_letter)]
    pub fn shred(&mut self) {}

    #[poison(retry(1))]
    pub fn later(&mut self, reply: Reply<u64>) {
        drop(reply);
    }

    #[poison(retry(1))]
    #[concurrent]
    pub async fn look(&self) {}

    #[poison(dead_letter)]
    #[batch]
    pub fn print_all(&mut self, pages: &mut Batch<String>) {
        drop(pages);
    }

    #[poison(retry(1))]
    fn private(&mut self) {}
}

struct Copier;

#[actor(poison = retry(3))]
impl Copier {
    #[init]
    fn new() -> Self {
        Copier
    }

    pub fn copy(&mut self, sheet: Sheet) {
        drop(sheet);
    }
}

fn main() {}
