use actor_core::prelude::*;

pub struct Store<T>(T);

#[actor]
impl<T: Send + 'static> Store<T> {
    #[init]
    fn new(value: T) -> Self {
        Store(value)
    }
}

pub struct Cache<'a>(&'a str);

#[actor]
impl Cache<'_> {
    #[init]
    fn new() -> Self {
        Cache("")
    }
}

fn main() {}
