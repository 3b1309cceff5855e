//! How many Ps work at once follows from what the goroutines do. When it does so is a matter of the machine,
//! so what is tested here is that it comes back; the rule itself has tests beside it (`width.rs`).

use std::time::{Duration, Instant};

use actor_core::{Handle, Runtime, go, prelude::*};

const LIMIT: Duration = Duration::from_secs(60);

struct Sum(u64);

#[actor(mailbox = buffered(64))]
impl Sum {
    #[init]
    fn new() -> Self {
        Sum(0)
    }

    pub fn add(&mut self, n: u64) -> u64 {
        self.0 += n;
        self.0
    }
}

/// Sixteen senders of one actor. Nothing is lost, however many Ps there are.
async fn talk(sum: &SumRef, each: u64) {
    let before = sum.add(0).await.unwrap();
    let senders: Vec<_> = (0..16)
        .map(|_| {
            let sum = sum.clone();
            go(async move {
                for _ in 0..each {
                    sum.add(1).tell().await.unwrap();
                }
            })
        })
        .collect();
    for sender in senders {
        sender.await.unwrap();
    }
    assert_eq!(sum.add(0).await, Ok(before + 16 * each));
}

fn paying() -> usize {
    Handle::current().metrics().processors_paying
}

#[test]
fn a_runtime_that_does_not_adapt_uses_all_its_ps() {
    let rt = Runtime::builder().procs(2).adaptive(false).build().unwrap();
    rt.run(async {
        let sum = Sum::start().await.unwrap();
        // Long enough for trials, of which there are none.
        let begin = Instant::now();
        while begin.elapsed() < Duration::from_millis(300) {
            talk(&sum, 500).await;
            assert_eq!(paying(), 2);
        }
    });
}

#[test]
fn who_computes_beside_those_that_talk_has_all_ps() {
    let rt = Runtime::builder().procs(2).build().unwrap();
    rt.run(async {
        let sum = Sum::start().await.unwrap();
        // Until one P is enough, where it ever is.
        for _ in 0..100 {
            talk(&sum, 500).await;
            if paying() == 1 {
                break;
            }
        }
        let begin = Instant::now();
        let computing = go(async move {
            let mut rounds = 0;
            // Not in a trial only, which takes three ticks.
            while rounds < 20 {
                assert!(begin.elapsed() < LIMIT, "one P has to do all the work");
                let until = Instant::now() + Duration::from_micros(700);
                while Instant::now() < until {
                    std::hint::spin_loop();
                }
                rounds = if paying() == 2 { rounds + 1 } else { 0 };
                yield_now().await;
            }
        });
        while !computing.is_finished() {
            talk(&sum, 50).await;
        }
        computing.await.unwrap();
    });
}
