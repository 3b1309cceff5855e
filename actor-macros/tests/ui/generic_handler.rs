use actor_core::prelude::*;

pub struct Bank;

#[actor]
impl Bank {
    #[init]
    fn new() -> Self {
        Bank
    }

    pub fn put<T: Send>(&mut self, value: T) {
        drop(value);
    }

    pub async fn fill<const N: usize>(&mut self, value: [u8; N]) {
        let _ = value;
    }
}

fn main() {}
