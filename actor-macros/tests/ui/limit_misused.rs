//! `#[limit]` without a time, of no time, in unknown units, twice, and where there is no message.
use actor_core::actor;

struct Bank;

#[actor]
impl Bank {
    #[init]
    #[limit(seconds = 1)]
    fn new() -> Self {
        Bank
    }

    #[limit]
    pub async fn audit(&mut self) {}

    #[limit(seconds = 0)]
    pub async fn review(&mut self) {}

    #[limit(hours = 1)]
    pub async fn close_books(&mut self) {}

    #[limit(seconds = 1, millis = 500)]
    pub async fn count(&mut self) {}

    #[limit(seconds = 1)]
    #[limit(seconds = 2)]
    pub async fn close(&mut self) {}

    #[limit(seconds = 1)]
    async fn private(&mut self) {}

    #[every(seconds = 1)]
    #[limit(seconds = 1)]
    fn flush(&mut self) {}
}

fn main() {}
