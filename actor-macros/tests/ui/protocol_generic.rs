//! A protocol's handle is one concrete type.
use actor_core::prelude::*;

#[protocol(handel = MapRef)]
unsafe trait Map<K> {
    fn get(&self, key: u64) -> u64;
}

fn main() {}
