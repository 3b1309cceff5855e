//! Some works of `versus` under criterion: a group per work, the peers side by side in it.
//!
//! The clock is the work's own (`iter_custom`): it runs inside a task of the peer's runtime, so
//! neither waking the bench's thread nor setting up is in a figure. Each peer's runtime exists only
//! while that peer is measured.

use std::time::Duration;

use benches::work::actors;
use benches::{Kameo, Ours, Peer, Tokio, Work};
use criterion::{
    BenchmarkGroup, Criterion, criterion_group, criterion_main, measurement::WallTime,
};

#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOC: mimalloc::MiMalloc = mimalloc::MiMalloc;

const WORKS: [Work; 6] = [
    Work::Ask,
    Work::AskEight,
    Work::TellOne,
    Work::TellFour,
    Work::PingPong,
    Work::Spawn,
];

fn peer<P: Peer>(group: &mut BenchmarkGroup<'_, WallTime>, work: Work) {
    group.bench_function(P::NAME, |bencher| {
        let runtime = <P::Rt as benches::peers::Runtime>::start();
        bencher.iter_custom(|ops| actors::timed::<P>(&runtime, work, ops).expect("a work of all"));
    });
}

fn first_numbers(criterion: &mut Criterion) {
    for work in WORKS {
        let mut group = criterion.benchmark_group(work.spec().name);
        group.warm_up_time(Duration::from_millis(500));
        group.measurement_time(Duration::from_secs(2));
        group.sample_size(30);
        peer::<Ours>(&mut group, work);
        peer::<Tokio>(&mut group, work);
        peer::<Kameo>(&mut group, work);
        group.finish();
    }
}

criterion_group!(benches, first_numbers);
criterion_main!(benches);
