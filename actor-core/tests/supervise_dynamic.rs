//! Supervisors whose children come later and go by their keys, and those over copies of one actor.

mod probe;

use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use actor_core::{
    actor::{ActorRef, CallError, ExitReason},
    sched::{Instant, yield_now},
    supervise::{Child, ChildError, ChildSpec, Restart, StopSignal, Supervisor, SupervisorRef},
};
use probe::{Args, Log, Probe, run};

const LONG: Duration = Duration::from_secs(600);

fn child(id: &'static str, log: &Log) -> (Child<Probe>, ActorRef<Probe>) {
    let args = Args::new(id, log);
    let child = Child::new(id, move || args.clone());
    let handle = child.handle();
    (child, handle)
}

fn idle() -> ChildSpec {
    ChildSpec::go("idle", std::future::pending::<()>)
}

async fn until_specs(app: &SupervisorRef, specs: usize) {
    while app.count_children().await.unwrap().specs != specs {
        yield_now().await;
    }
}

#[test]
fn children_may_share_an_id_and_each_has_a_key_of_its_own() {
    run(async {
        let log = Log::default();
        let app = Supervisor::dynamic("rooms").start().await.unwrap();
        let mut keys = HashSet::new();
        let mut rooms = Vec::new();
        for _ in 0..3 {
            let (room, handle) = child("room", &log);
            let key = app.start_child(room).await.unwrap();
            keys.insert(key);
            rooms.push((key, handle));
        }
        assert_eq!(keys.len(), 3);
        let (second, handle) = &rooms[1];
        app.terminate_child(*second).await.unwrap();
        assert!(handle.is_stopped());
        assert!(!rooms[0].1.is_stopped() && !rooms[2].1.is_stopped());
        let left: Vec<_> = app.which_children().await.unwrap();
        assert_eq!(
            left.iter().map(|c| (c.key, &*c.id)).collect::<Vec<_>>(),
            [(rooms[0].0, "room"), (rooms[2].0, "room")]
        );
        assert_eq!(app.which_child(rooms[0].0).await.unwrap().id, "room");
        app.stop().await;
    });
}

#[test]
fn requests_by_id_and_those_about_kept_children_are_refused() {
    run(async {
        let app = Supervisor::dynamic("rooms").start().await.unwrap();
        let key = app.start_child(idle()).await.unwrap();
        assert_eq!(app.terminate_child("idle").await, Err(ChildError::Dynamic));
        assert_eq!(app.which_child("idle").await, Err(ChildError::Dynamic));
        assert_eq!(app.restart_child("idle").await, Err(ChildError::Dynamic));
        assert_eq!(app.restart_child(key).await, Err(ChildError::Dynamic));
        assert_eq!(app.delete_child("idle").await, Err(ChildError::Dynamic));
        assert_eq!(app.delete_child(key).await, Err(ChildError::Dynamic));
        assert_eq!(app.count_children().await.unwrap().active, 1);
        app.stop().await;
    });
}

#[test]
fn terminating_one_that_is_gone_is_fine_and_a_strangers_key_is_not_found() {
    run(async {
        let app = Supervisor::dynamic("rooms").start().await.unwrap();
        let other = Supervisor::dynamic("others").start().await.unwrap();
        let key = app.start_child(idle()).await.unwrap();
        let stranger = other.start_child(idle()).await.unwrap();
        assert_eq!(
            app.terminate_child(stranger).await,
            Err(ChildError::NotFound {
                child: stranger.into()
            })
        );
        assert_eq!(other.count_children().await.unwrap().active, 1);
        assert_eq!(app.terminate_child(key).await, Ok(()));
        assert_eq!(app.terminate_child(key).await, Ok(()));
        // Its slot is taken by another child, which the old key doesn't name.
        let next = app.start_child(idle()).await.unwrap();
        assert_ne!(key, next);
        assert_eq!(app.terminate_child(key).await, Ok(()));
        assert_eq!(
            app.which_child(key).await,
            Err(ChildError::NotFound { child: key.into() })
        );
        assert_eq!(app.count_children().await.unwrap().active, 1);
        app.stop().await;
        other.stop().await;
    });
}

#[test]
fn max_children_refuses_one_more_until_one_has_gone() {
    run(async {
        let app = Supervisor::dynamic("rooms").max_children(2);
        let app = app.start().await.unwrap();
        let first = app.start_child(idle()).await.unwrap();
        app.start_child(idle()).await.unwrap();
        let log = Log::default();
        let (third, handle) = child("third", &log);
        let refused = app.start_child(third).await;
        assert_eq!(refused, Err(ChildError::MaxChildren { max: 2 }));
        assert!(refused.unwrap_err().to_string().contains("max_children"));
        assert!(handle.is_stopped(), "it will never start");
        assert_eq!(log.lines(), [""; 0]);
        app.terminate_child(first).await.unwrap();
        app.start_child(idle()).await.unwrap();
        app.stop().await;
    });
}

#[test]
fn max_children_counts_the_stopped_children_of_other_supervisors_too() {
    run(async {
        let app = Supervisor::one_for_one("app").max_children(1).child(idle());
        let app = app.start().await.unwrap();
        app.terminate_child("idle").await.unwrap();
        let log = Log::default();
        let refused = app.start_child(child("a", &log).0).await;
        assert_eq!(refused, Err(ChildError::MaxChildren { max: 1 }));
        app.delete_child("idle").await.unwrap();
        app.start_child(child("a", &log).0).await.unwrap();
        app.stop().await;
    });
}

#[test]
fn a_child_that_ends_and_is_not_restarted_is_forgotten_whatever_its_type() {
    run(async {
        let log = Log::default();
        let app = Supervisor::dynamic("rooms").intensity(1, LONG);
        let app = app.start().await.unwrap();
        let (transient, transient_ref) = child("transient", &log);
        let (temporary, temporary_ref) = child("temporary", &log);
        let (permanent, permanent_ref) = child("permanent", &log);
        app.start_child(transient.restart(Restart::Transient))
            .await
            .unwrap();
        app.start_child(temporary.restart(Restart::Temporary))
            .await
            .unwrap();
        let key = app.start_child(permanent).await.unwrap();
        Probe::stop_self(&transient_ref).await.unwrap();
        assert_eq!(Probe::panic(&temporary_ref).await, Err(CallError::Panicked));
        until_specs(&app, 1).await;
        assert_eq!(Probe::panic(&permanent_ref).await, Err(CallError::Panicked));
        assert_eq!(Probe::life(&permanent_ref).await, Ok(2));
        assert_eq!(
            app.which_child(key).await.unwrap().restarts,
            1,
            "the key outlives a restart"
        );
        assert_eq!(Probe::panic(&permanent_ref).await, Err(CallError::Panicked));
        assert!(matches!(app.wait().await, ExitReason::GaveUp { .. }));
    });
}

#[test]
fn a_child_that_cannot_start_is_forgotten_and_its_error_returned() {
    run(async {
        let app = Supervisor::dynamic("rooms").start().await.unwrap();
        let args = Args {
            init_error: true,
            ..Args::new("bad", &Log::default())
        };
        let error = app
            .start_child(Child::<Probe>::new("bad", move || args.clone()))
            .await
            .unwrap_err();
        assert!(matches!(&error, ChildError::StartFailed(e) if e.name() == "bad"));
        assert_eq!(app.count_children().await.unwrap().specs, 0);
        app.stop().await;
    });
}

#[test]
fn all_children_are_asked_to_stop_at_once() {
    run(async {
        let app = Supervisor::dynamic("rooms").start().await.unwrap();
        // Each ends only when all have been asked: one after the other they would never.
        let asked = Arc::new(AtomicU32::new(0));
        for _ in 0..3 {
            let asked = Arc::clone(&asked);
            let waits = ChildSpec::go_until("waits", move |stop: StopSignal| {
                let asked = Arc::clone(&asked);
                async move {
                    stop.requested().await;
                    asked.fetch_add(1, Ordering::SeqCst);
                    while asked.load(Ordering::SeqCst) < 3 {
                        yield_now().await;
                    }
                }
            });
            app.start_child(waits.stop_within(Duration::MAX))
                .await
                .unwrap();
        }
        assert_eq!(app.stop().await, ExitReason::Normal);
        assert_eq!(asked.load(Ordering::SeqCst), 3);
    });
}

#[test]
fn each_child_has_its_own_deadline_when_all_stop_together() {
    run(async {
        let log = Log::default();
        let app = Supervisor::dynamic("rooms").start().await.unwrap();
        let ms = Duration::from_millis;
        let deaf = |within| {
            let deaf = ChildSpec::go_until("deaf", |_| std::future::pending::<()>());
            deaf.stop_within(within)
        };
        app.start_child(deaf(ms(40))).await.unwrap();
        app.start_child(deaf(Duration::ZERO)).await.unwrap();
        app.start_child(deaf(ms(10))).await.unwrap();
        let (a, a_ref) = child("a", &log);
        app.start_child(a).await.unwrap();
        let asked = Instant::now();
        assert_eq!(app.stop().await, ExitReason::Normal);
        let took = asked.elapsed();
        assert!(took >= ms(40), "the longest deadline was kept: {took:?}");
        assert_eq!(a_ref.wait().await, ExitReason::Shutdown);
        assert!(log.has("a stopped Supervisor"));
    });
}

#[test]
fn a_dynamic_supervisor_that_is_restarted_begins_empty() {
    run(async {
        let log = Log::default();
        let rooms = Supervisor::dynamic("rooms").intensity(0, LONG);
        let rooms_ref = rooms.handle();
        let app = Supervisor::one_for_one("app").child(rooms);
        let app = app.start().await.unwrap();
        let (room, room_ref) = child("room", &log);
        let key = rooms_ref.start_child(room).await.unwrap();
        assert_eq!(Probe::panic(&room_ref).await, Err(CallError::Panicked));
        while app.which_child("rooms").await.unwrap().restarts == 0 {
            yield_now().await;
        }
        assert_eq!(rooms_ref.which_children().await.unwrap(), []);
        assert!(room_ref.is_stopped());
        // A key of before names nothing now, whatever took its slot.
        rooms_ref.start_child(idle()).await.unwrap();
        assert_eq!(rooms_ref.terminate_child(key).await, Ok(()));
        assert_eq!(rooms_ref.count_children().await.unwrap().active, 1);
        app.stop().await;
    });
}

#[test]
fn a_partition_gives_each_key_one_copy_and_uses_all_of_them() {
    run(async {
        let log = Log::default();
        let (caches, cache) = Supervisor::partition("caches", 4, |n| {
            let args = Args::new("cache", &log);
            Child::<Probe>::new(format!("cache-{n}"), move || args.clone())
        });
        let app = Supervisor::one_for_one("app").child(caches);
        let app = app.start().await.unwrap();
        assert_eq!((cache.len(), cache.copies().len()), (4, 4));
        let mut used = HashSet::new();
        for key in 0..200_u32 {
            let copy = cache.of(&key);
            assert_eq!(copy, cache.clone().of(&key));
            assert_eq!(copy, &cache.copies()[cache.index_of(&key)]);
            assert_eq!(Probe::echo(copy, 1).await, Ok(1));
            used.insert(copy.name().to_owned());
        }
        assert_eq!(used.len(), 4, "{used:?}");
        app.stop().await;
    });
}

#[test]
fn a_copy_that_crashes_keeps_its_keys_and_leaves_the_others_alone() {
    run(async {
        let log = Log::default();
        let (caches, cache) = Supervisor::partition("caches", 2, |n| {
            let args = Args::new("cache", &log);
            Child::<Probe>::new(format!("cache-{n}"), move || args.clone())
        });
        let caches = caches.start().await.unwrap();
        let [one, two] = cache.copies() else { panic!() };
        assert_eq!(Probe::panic(one).await, Err(CallError::Panicked));
        assert_eq!(Probe::life(one).await, Ok(2));
        assert_eq!(Probe::life(two).await, Ok(1));
        caches.stop().await;
    });
}
