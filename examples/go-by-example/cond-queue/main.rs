//! A bounded queue made of a mutex and two condition variables. Go: `sync.Cond`.
//!
//! What differs: `wait_while` has the loop inside that Go's `Wait` needs around it. (A buffered
//! channel is this queue, and more; here you see how one is made.)
#![forbid(unsafe_code)]

use std::collections::VecDeque;
use std::sync::Arc;

use actor_core::go;
use actor_core::sync::{Condvar, Mutex};

struct Queue {
    items: Mutex<VecDeque<u32>>,
    not_empty: Condvar,
    not_full: Condvar,
    capacity: usize,
}

impl Queue {
    fn new(capacity: usize) -> Self {
        Queue {
            items: Mutex::new(VecDeque::new()),
            not_empty: Condvar::new(),
            not_full: Condvar::new(),
            capacity,
        }
    }

    async fn put(&self, item: u32) {
        let items = self.items.lock().await;
        // Waiting gives the guard away, and it comes back when the wait is over.
        let mut items = self
            .not_full
            .wait_while(items, |items| items.len() == self.capacity)
            .await;
        items.push_back(item);
        self.not_empty.notify_one();
    }

    async fn take(&self) -> u32 {
        let items = self.items.lock().await;
        let mut items = self
            .not_empty
            .wait_while(items, |items| items.is_empty())
            .await;
        self.not_full.notify_one();
        items.pop_front().expect("it is not empty")
    }
}

#[actor_core::main]
async fn main() {
    let queue = Arc::new(Queue::new(2));
    for producer in 0..3 {
        let queue = queue.clone();
        go(async move {
            for n in 0..10 {
                queue.put(producer * 10 + n).await;
            }
        });
    }
    let mut sum = 0;
    for _ in 0..30 {
        sum += queue.take().await;
    }
    println!("sum: {sum}");
    println!("left: {}", queue.items.lock().await.len());
}
