//! kvd's engine under simulation: clients, crashes, power losses, a disk that fails, and a history
//! that must be linearizable. One seed is one whole drill; see `examples::kvd::Drill`.
//!
//! `.ci/nightly` tries many more seeds (`ACTOR_SIM_SEEDS`).
#![forbid(unsafe_code)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use actor_core::sim::{self, Pct, Sim};
use actor_core::sometimes;
use examples::kvd::Drill;

async fn exercise(sim: &Sim, drill: Drill) {
    let chance = sim.clone();
    let random = move |bound| chance.below(bound as u32) as usize;
    let report = match drill.run(random).await {
        Ok(report) => report,
        Err(error) => panic!("{error}"),
    };
    sometimes!(report.power_losses > 0, "the machine went down");
    sometimes!(report.kills > 0, "the process died");
    sometimes!(report.stops > 0, "the tree was stopped in order");
    sometimes!(report.crashes > 0, "an actor was killed under its clients");
    sometimes!(report.lost_bytes > 0, "a power loss took bytes with it");
    sometimes!(report.unanswered > 0, "a write was not answered");
}

#[actor_core::test(sim, seeds = 500)]
async fn no_acknowledged_write_is_lost_and_every_history_is_linearizable(sim: &Sim) {
    exercise(sim, Drill::default()).await;
}

#[actor_core::test(sim, seeds = 100, policy = Pct { depth: 3 })]
async fn nor_with_one_key_and_many_clients(sim: &Sim) {
    let drill = Drill {
        clients: 8,
        keys: 1,
        shards: 1,
        pipelines: 5,
        ..Drill::default()
    };
    exercise(sim, drill).await;
}

#[test]
fn a_disk_that_lies_about_its_syncs_is_found_out() {
    let drill = Drill {
        lying_disk: true,
        ..Drill::default()
    };
    let found = sim::check(move |sim| async move {
        let random = move |bound| sim.below(bound as u32) as usize;
        drill
            .run(random)
            .await
            .map(drop)
            .map_err(|error| error.to_string())
    })
    .no_shrinking()
    .seeds(50)
    .try_run();
    let report = found.expect_err("acknowledged writes are lost").to_string();
    assert!(report.contains("is not linearizable"), "{report}");
}

/// The first test on a real runtime, with real time and real parallelism.
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
        let report = match Drill::default().run(random.clone()).await {
            Ok(report) => report,
            Err(error) => panic!("{error}"),
        };
        assert!(report.operations > 50, "{report:?}");
    }
}
