use actor_core::prelude::*;

pub struct Bank;

#[actor]
impl Bank {
    #[init]
    fn new() -> Self {
        Bank
    }

    #[stopped]
    #[cfg(unix)]
    fn close(self) {}

    pub fn sized(&mut self, #[cfg(unix)] _fd: i32) {}
}

fn main() {}
