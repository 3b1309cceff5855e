use actor_core::prelude::*;

pub struct Metrics;

#[actor(singleton)]
impl Metrics {
    #[init]
    fn new(_ctx: &Ctx<Self>, file: String, _size: usize) -> Self {
        drop(file);
        Metrics
    }
}

pub struct Twice;

#[actor(singleton, name = "twice", singleton)]
impl Twice {
    #[init]
    fn new() -> Self {
        Twice
    }

    pub fn instance(&self) {}
}

pub struct Set;

#[actor(singleton = true)]
impl Set {
    #[init]
    fn new() -> Self {
        Set
    }
}

async fn no_trail_of_errors() {
    let _ = Metrics::instance().await;
}

fn main() {
    let _ = no_trail_of_errors;
}
