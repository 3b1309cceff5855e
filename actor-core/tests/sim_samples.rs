//! The simulated tests of README and book, run: where they stand a doc test only compiles them. `tidy`
//! sees to it that they are the same.

use actor_core::sim::{Sim, TimeUnits};

#[actor_core::test(sim, seeds = 1000)]
async fn an_alarm_rings_every_day(sim: &Sim) {
    let mut alarm = actor_core::interval(1.days());
    sim.advance(7.days()).await; // takes a millisecond
    alarm.tick().await;
    assert_eq!(sim.elapsed(), 7.days());
}

#[actor_core::test(sim, seeds = 1000)]
async fn time_is_free(sim: &Sim) {
    let begin = sim.now();
    actor_core::sleep(std::time::Duration::from_secs(3600)).await;
    assert_eq!(begin.elapsed().as_secs(), 3600);
}
