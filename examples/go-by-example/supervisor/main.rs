//! A worker that crashes is started again: with a new state, and with the jobs that wait.
//!
//! What differs: the loop around the worker is a supervisor, which knows when to give up, tells its
//! parent, and stops its children in order. Nobody can forget to answer the job that crashed.
#![forbid(unsafe_code)]

use actor_core::prelude::*;

struct Worker {
    done: u32,
}

#[actor]
impl Worker {
    #[init]
    fn new() -> Self {
        Worker { done: 0 }
    }

    /// Which worker this is, and how many jobs it has done.
    pub fn work(&mut self, job: String, ctx: &Ctx<Self>) -> (u64, u32) {
        assert!(job != "bad", "can't do it");
        self.done += 1;
        (ctx.incarnation(), self.done)
    }

    #[stopped]
    fn close(self) {
        println!("worker stopped after {}", self.done);
    }
}

#[actor_core::main]
async fn main() {
    // The panic is the supervisor's affair; nothing of it needs to be printed here.
    std::panic::set_hook(Box::new(|_| {}));
    let worker = Worker::child("worker");
    let handle = worker.handle();
    let app = Supervisor::one_for_one("app").child(worker);
    let app = app.start().await.unwrap();

    for job in ["one", "two", "bad", "three"] {
        match handle.work(job.to_owned()).await {
            Ok((life, done)) => println!("{job}: job {done} of worker {life}"),
            Err(_) => println!("{job}: crashed"),
        }
    }
    app.stop().await;
}
