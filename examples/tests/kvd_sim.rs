//! kvd's engine under simulation: clients, crashes, power losses, a disk that fails, and a history
//! that must be linearizable. One seed is one whole drill; see `examples::kvd::Drill`.
//!
//! `ACTOR_SIM_SEEDS` says how many seeds are tried; `.ci/nightly` tries many.
#![forbid(unsafe_code)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use actor_core::sim::{self, Check, Pct};
use actor_core::sometimes;
use examples::kvd::{Drill, DrillError};

fn check(drill: Drill) -> Check {
    sim::check(move |sim| async move {
        let random = move |bound| sim.below(bound as u32) as usize;
        let report = drill.run(random).await?;
        sometimes!(report.power_losses > 0, "the machine went down");
        sometimes!(report.kills > 0, "the process died");
        sometimes!(report.stops > 0, "the tree was stopped in order");
        sometimes!(report.crashes > 0, "an actor was killed under its clients");
        sometimes!(report.lost_bytes > 0, "a power loss took bytes with it");
        sometimes!(report.unanswered > 0, "a write was not answered");
        Ok::<(), DrillError>(())
    })
}

#[test]
fn no_acknowledged_write_is_lost_and_every_history_is_linearizable() {
    let summary = check(Drill::default())
        .name("no_acknowledged_write_is_lost_and_every_history_is_linearizable")
        .seeds(500)
        .run();
    eprintln!("{summary:?}");
}

#[test]
fn nor_with_one_key_and_many_clients() {
    let drill = Drill {
        clients: 8,
        keys: 1,
        shards: 1,
        pipelines: 5,
        ..Drill::default()
    };
    check(drill)
        .name("nor_with_one_key_and_many_clients")
        .policy(Pct { depth: 3 })
        .seeds(100)
        .run();
}

/// The same on a real runtime, with real time and real parallelism.
#[actor_core::test]
async fn nor_outside_of_a_simulation() {
    let draws = Arc::new(AtomicU64::new(1));
    let random = move |bound| {
        // SplitMix64.
        let mut z = draws.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::SeqCst);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % bound as u64) as usize
    };
    for _ in 0..5 {
        let report = Drill::default().run(random.clone()).await;
        let report = report.unwrap_or_else(|error| panic!("{error}"));
        assert!(report.operations > 50, "{report:?}");
    }
}
