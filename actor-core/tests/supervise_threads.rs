//! Supervised OS threads, and children of any kind that don't end when they are killed.

mod probe;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use actor_core::{
    actor::{ActorRef, CallError, ExitReason},
    chan,
    sched::{go, yield_now},
    supervise::{
        Child, ChildError, ChildKind, ChildSpec, ChildState, Health, OnStuck, Restart, StopSignal,
        Supervisor, SupervisorRef,
    },
};
use probe::{Args, Log, Probe, run};

const MS: Duration = Duration::from_millis(1);
const LONG: Duration = Duration::from_secs(600);

#[test]
fn a_thread_runs_on_its_own_beside_goroutines_and_ends_when_asked() {
    run(async {
        let log = Log::default();
        let thread = {
            let log = log.clone();
            ChildSpec::thread("worker", move |stop: StopSignal| {
                log.add(format!("{:?}", std::thread::current().id()));
                stop.requested_blocking();
                assert!(stop.is_requested());
                log.add("ended");
            })
        };
        let app = Supervisor::one_for_one("app").child(thread);
        let app = app.start().await.unwrap();
        let info = app.which_child("worker").await.unwrap();
        assert_eq!(
            (info.kind, info.state),
            (ChildKind::Thread, ChildState::Running)
        );
        assert_eq!(app.count_children().await.unwrap().workers, 1);
        assert_eq!(app.stop().await, ExitReason::Normal);
        let lines = log.take();
        assert_eq!(lines[1], "ended", "the stop waited for it");
        let here = format!("{:?}", std::thread::current().id());
        assert_ne!(lines[0], here);
    });
}

#[test]
fn a_thread_is_restarted_after_an_error_or_panic_and_not_after_success() {
    run(async {
        let (tx, rx) = chan::buffered(8);
        let runs = Arc::new(std::sync::atomic::AtomicU32::new(0));
        let thread = ChildSpec::thread("worker", move |_| {
            let run = runs.fetch_add(1, Ordering::SeqCst);
            tx.send_blocking(run).unwrap();
            match run {
                0 => Err("the first run fails"),
                1 => panic!("the second run panics"),
                _ => Ok(()),
            }
        });
        let app = Supervisor::one_for_one("app").child(thread.restart(Restart::Transient));
        let app = app.start().await.unwrap();
        for run in 0..3 {
            assert_eq!(rx.recv().await, Some(run));
        }
        while app.count_children().await.unwrap().active > 0 {
            yield_now().await;
        }
        let info = app.which_child("worker").await.unwrap();
        assert_eq!(info.restarts, 2);
        assert_eq!(info.last_exit, Some(ExitReason::Normal));
        app.stop().await;
    });
}

#[test]
fn goroutines_timers_and_channels_work_inside_a_thread() {
    run(async {
        let (tx, rx) = chan::buffered(1);
        let thread = ChildSpec::thread("worker", move |stop: StopSignal| {
            let tx = tx.clone();
            drop(go(async move { tx.send("from a goroutine").await }));
            while !stop.requested_within_blocking(MS) {}
        });
        let app = Supervisor::one_for_one("app").child(thread);
        let app = app.start().await.unwrap();
        assert_eq!(rx.recv().await, Some("from a goroutine"));
        app.stop().await;
    });
}

#[test]
fn a_kill_can_only_ask_a_thread_and_waits_for_it() {
    run(async {
        let log = Log::default();
        let thread = {
            let log = log.clone();
            ChildSpec::thread("worker", move |stop: StopSignal| {
                stop.requested_blocking();
                log.add("ended");
            })
        };
        let app = Supervisor::one_for_one("app").child(thread.stop_within(Duration::ZERO));
        let app = app.start().await.unwrap();
        app.stop().await;
        assert_eq!(log.take(), ["ended"]);

        let thread = {
            let log = log.clone();
            ChildSpec::thread("worker", move |stop: StopSignal| {
                stop.requested_blocking();
                log.add("ended");
            })
        };
        let app = Supervisor::one_for_one("app").child(thread);
        let app = app.start().await.unwrap();
        assert_eq!(app.kill().await, ExitReason::Killed);
        assert_eq!(
            log.take(),
            ["ended"],
            "the kill's end is told after its children's"
        );
    });
}

#[test]
fn the_end_of_the_runtime_asks_threads_to_stop_and_waits_for_them() {
    let log = Log::default();
    let rt = actor_core::Runtime::new().unwrap();
    rt.block_on(async {
        let thread = {
            let log = log.clone();
            ChildSpec::thread("worker", move |stop: StopSignal| {
                log.add("begun");
                stop.requested_blocking();
                log.add("ended");
            })
        };
        let app = Supervisor::one_for_one("app").child(thread);
        app.start().await.unwrap();
        log.seen("begun", 1).await;
    });
    drop(rt);
    assert_eq!(log.take(), ["begun", "ended"]);
}

#[actor_core::test]
async fn a_thread_that_blocks_in_foreign_code_is_no_deadlock() {
    let (tx, rx) = chan::buffered(1);
    let thread = ChildSpec::thread("worker", move |stop: StopSignal| {
        // Foreign code, as far as the runtime can see.
        std::thread::sleep(100 * MS);
        tx.send_blocking(()).unwrap();
        stop.requested_blocking();
    });
    let app = Supervisor::one_for_one("app").child(thread);
    let app = app.start().await.unwrap();
    assert_eq!(rx.recv().await, Some(()));
    app.stop().await;
}

// --- children that don't end ---

/// A child that doesn't end before `release` is set, whatever is asked of it. `entered` says that
/// it runs.
fn wedged(release: &Arc<AtomicBool>, entered: chan::Sender<()>) -> ChildSpec {
    let release = Arc::clone(release);
    ChildSpec::thread("wedged", move |_| {
        entered.send_blocking(()).unwrap();
        while !release.load(Ordering::SeqCst) {
            std::thread::yield_now();
        }
    })
    .stop_within(MS)
    .stuck_after(MS)
}

async fn until_stuck(app: &SupervisorRef, id: &str) {
    while app.which_child(id).await.unwrap().health != Health::Stuck {
        yield_now().await;
    }
}

#[test]
fn a_stuck_child_is_waited_for_and_questions_are_answered_meanwhile() {
    run(async {
        let release = Arc::new(AtomicBool::new(false));
        let (entered, inside) = chan::buffered(1);
        let app = Supervisor::one_for_one("app").child(wedged(&release, entered));
        let app = app.start().await.unwrap();
        inside.recv().await;
        let stop = app.stop();
        until_stuck(&app, "wedged").await;
        let info = &app.which_children().await.unwrap()[0];
        assert_eq!(info.state, ChildState::Running, "still owned");
        assert_eq!(app.count_children().await.unwrap().active, 1);
        assert!(app.tree().await.unwrap().to_string().contains("stuck"));
        assert!(!app.is_stopped());
        release.store(true, Ordering::SeqCst);
        assert_eq!(stop.await, ExitReason::Normal);
    });
}

#[test]
fn a_goroutine_that_doesnt_yield_is_stuck_too() {
    run(async {
        let release = Arc::new(AtomicBool::new(false));
        let (entered, inside) = chan::buffered(1);
        let spins = {
            let release = Arc::clone(&release);
            ChildSpec::go("spins", move || {
                let (release, entered) = (Arc::clone(&release), entered.clone());
                async move {
                    entered.send(()).await.unwrap();
                    while !release.load(Ordering::SeqCst) {
                        std::thread::yield_now();
                    }
                }
            })
        };
        let spins = spins.stop_within(MS).stuck_after(MS);
        let app = Supervisor::one_for_one("app").child(spins);
        let app = app.start().await.unwrap();
        inside.recv().await;
        let stop = app.stop();
        until_stuck(&app, "spins").await;
        release.store(true, Ordering::SeqCst);
        assert_eq!(stop.await, ExitReason::Normal);
    });
}

#[test]
fn requests_other_than_questions_wait_for_a_stuck_child_in_order() {
    run(async {
        let release = Arc::new(AtomicBool::new(false));
        let (entered, inside) = chan::buffered(1);
        let app = Supervisor::one_for_one("app").child(wedged(&release, entered));
        let app = app.start().await.unwrap();
        inside.recv().await;
        let terminated = {
            let app = app.clone();
            go(async move { app.terminate_child("wedged").await })
        };
        until_stuck(&app, "wedged").await;
        let deleted = {
            let app = app.clone();
            go(async move { app.delete_child("wedged").await })
        };
        yield_now().await;
        assert_eq!(app.count_children().await.unwrap().specs, 1);
        release.store(true, Ordering::SeqCst);
        assert_eq!(terminated.await.unwrap(), Ok(()));
        assert_eq!(deleted.await.unwrap(), Ok(()));
        app.stop().await;
    });
}

#[test]
fn a_detached_thread_holds_up_neither_the_stop_nor_its_siblings() {
    run(async {
        let log = Log::default();
        let release = Arc::new(AtomicBool::new(false));
        let (entered, inside) = chan::buffered(1);
        let a = Args::new("a", &log);
        let app = Supervisor::one_for_one("app")
            .child(Child::<Probe>::new("a", move || a.clone()))
            .child(wedged(&release, entered).on_stuck(OnStuck::Detach));
        let app = app.start().await.unwrap();
        inside.recv().await;
        assert_eq!(app.stop().await, ExitReason::Normal);
        assert!(app.is_stopped() && log.has("a stopped Supervisor"));
        assert!(!release.load(Ordering::SeqCst), "it runs on meanwhile");
        release.store(true, Ordering::SeqCst);
    });
}

#[test]
fn a_detached_thread_can_be_started_anew_beside_the_old_one() {
    run(async {
        let release = Arc::new(AtomicBool::new(false));
        let (entered, inside) = chan::buffered(2);
        let wedged = wedged(&release, entered).on_stuck(OnStuck::Detach);
        let app = Supervisor::one_for_one("app").intensity(0, LONG);
        let app = app.child(wedged).start().await.unwrap();
        inside.recv().await;
        assert_eq!(app.terminate_child("wedged").await, Ok(()));
        let info = app.which_child("wedged").await.unwrap();
        assert_eq!(info.state, ChildState::Stopped);
        assert_eq!(info.last_exit, Some(ExitReason::Killed));
        assert_eq!(app.restart_child("wedged").await, Ok(()));
        inside.recv().await;
        release.store(true, Ordering::SeqCst);
        // The old one's end says nothing; the new one's is an end of a permanent child.
        assert!(matches!(app.wait().await, ExitReason::GaveUp { .. }));
    });
}

/// An actor whose handler doesn't yield before `release` is set.
fn wedged_actor(log: &Log) -> (Child<Probe>, ActorRef<Probe>) {
    let args = Args::new("a", log);
    let child = Child::<Probe>::new("a", move || args.clone());
    let handle = child.handle();
    (child.stop_within(MS).stuck_after(MS), handle)
}

#[test]
fn a_detached_actor_refuses_messages_and_cannot_be_started_before_it_has_ended() {
    run(async {
        let log = Log::default();
        let (a, a_ref) = wedged_actor(&log);
        let app = Supervisor::one_for_one("app").child(a.on_stuck(OnStuck::Detach));
        let app = app.start().await.unwrap();
        let release = Arc::new(AtomicBool::new(false));
        let (entered, inside) = chan::buffered(1);
        let spin = {
            let release = Arc::clone(&release);
            move || {
                entered.try_send(()).unwrap();
                while !release.load(Ordering::SeqCst) {
                    std::thread::yield_now();
                }
            }
        };
        Probe::spin(&a_ref, spin).tell().await.unwrap();
        inside.recv().await;
        assert_eq!(app.terminate_child("a").await, Ok(()));
        let info = app.which_child("a").await.unwrap();
        assert_eq!(
            (info.state, info.health),
            (ChildState::Stopped, Health::Stuck)
        );
        assert_eq!(Probe::echo(&a_ref, 1).await, Err(CallError::Stopped));
        let Err(ChildError::StartFailed(error)) = app.restart_child("a").await else {
            panic!("two incarnations of one actor")
        };
        assert!(error.to_string().contains("has not ended yet"), "{error}");
        release.store(true, Ordering::SeqCst);
        log.seen("a dropped", 1).await;
        while app.restart_child("a").await.is_err() {
            yield_now().await;
        }
        assert_eq!(Probe::echo(&a_ref, 1).await, Ok(1));
        assert_eq!(app.which_child("a").await.unwrap().health, Health::Healthy);
        app.stop().await;
    });
}

#[test]
fn an_init_that_never_yields_past_its_deadline_is_stuck_and_may_be_detached() {
    run(async {
        let release = Arc::new(AtomicBool::new(false));
        let args = {
            let release = Arc::clone(&release);
            move || Args {
                init_spins: Some(Arc::clone(&release)),
                ..Args::new("a", &Log::default())
            }
        };
        let a = Child::<Probe>::new("a", args)
            .start_within(MS)
            .stuck_after(MS)
            .on_stuck(OnStuck::Detach);
        let a_ref = a.handle();
        let app = Supervisor::one_for_one("app").child(a);
        let error = app.start().await.unwrap_err();
        assert!(error.to_string().contains("not done within"), "{error}");
        release.store(true, Ordering::SeqCst);
        a_ref.wait().await;
    });
}

#[test]
fn the_abort_policy_aborts_the_process() {
    const INSIDE: &str = "ACTOR_TEST_ABORT";
    if std::env::var_os(INSIDE).is_some() {
        return run(async {
            let release = Arc::new(AtomicBool::new(false));
            let (entered, inside) = chan::buffered(1);
            let wedged = wedged(&release, entered).on_stuck(OnStuck::Abort);
            let app = Supervisor::one_for_one("app").child(wedged);
            let app = app.start().await.unwrap();
            inside.recv().await;
            app.stop().await;
        });
    }
    let this = std::env::current_exe().unwrap();
    let output = std::process::Command::new(this)
        .args(["--exact", "the_abort_policy_aborts_the_process"])
        .env(INSIDE, "1")
        .output()
        .unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::process::ExitStatusExt;
        const SIGABRT: i32 = 6;
        assert_eq!(output.status.signal(), Some(SIGABRT), "{output:?}");
    }
    assert!(!output.status.success());
}
