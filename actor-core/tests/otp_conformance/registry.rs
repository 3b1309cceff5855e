//! Names: one holder each, from before its init until its end.

use actor_core::{
    actor::{
        self, ExitReason,
        registry::{self, LookupError, RegisterError, whereis},
    },
    go,
    supervise::{ChildError, Restart, Supervisor},
};

use crate::{
    LONG, kid, kid_of,
    probe::{Args, Gate, Log, Probe},
    run, until_restarted, until_specs,
};

fn is_free(name: &str) -> bool {
    matches!(whereis::<Probe>(name), Err(LookupError::NotFound { .. }))
}

async fn other() -> actor::ActorRef<Probe> {
    actor::start::<Probe>("other", Args::default())
        .await
        .unwrap()
}

/// erlang:register/2 and whereis/1 in the manual.
#[test]
fn a_registered_process_is_found_until_it_has_ended() {
    run(|| async {
        let other = other().await;
        assert!(is_free("name"));
        registry::register(&other, "name").unwrap();
        assert_eq!(whereis::<Probe>("name").unwrap(), other);
        other.stop().await;
        assert!(is_free("name"));
    });
}

/// Reference manual, Processes: a name is released before the end is told. At a Down, whereis/1 says
/// `undefined`.
#[test]
fn a_name_is_free_when_a_monitor_is_told() {
    run(|| async {
        for _ in 0..100 {
            let first = other().await;
            registry::register(&first, "name").unwrap();
            let monitor = first.monitor();
            drop(first.kill());
            monitor.await;
            assert!(is_free("name"));
            let next = other().await;
            registry::register(&next, "name").unwrap();
            next.stop().await;
        }
    });
}

/// erlang:register/2 in the manual: badarg for a name in use. Ours: the error names its holder.
#[test]
fn a_name_in_use_is_refused_and_its_holder_keeps_it() {
    run(|| async {
        let (first, second) = (other().await, other().await);
        registry::register(&first, "name").unwrap();
        let refused = registry::register(&second, "name");
        let Err(RegisterError::Taken { holder, .. }) = refused else {
            panic!("{refused:?}")
        };
        assert_eq!(holder.downcast::<Probe>(), Some(first.clone()));
        assert_eq!(whereis::<Probe>("name").unwrap(), first);
        first.stop().await;
    });
}

/// erlang:register/2 in the manual: badarg for a process that isn't there.
#[test]
fn a_dead_process_is_refused() {
    run(|| async {
        let other = other().await;
        other.stop().await;
        let refused = registry::register(&other, "name");
        assert!(matches!(refused, Err(RegisterError::Stopped { .. })));
        assert!(is_free("name"));
    });
}

/// erlang:unregister/1 in the manual: the name is free, and the process goes on.
#[test]
fn a_name_that_is_given_up_is_free_at_once() {
    run(|| async {
        let (first, second) = (other().await, other().await);
        registry::register(&first, "name").unwrap();
        assert_eq!(registry::unregister("name").unwrap().id(), first.id());
        registry::register(&second, "name").unwrap();
        assert_eq!(Probe::life(&first).await, Ok(1));
        first.stop().await;
        // The former holder's end frees nothing.
        assert_eq!(whereis::<Probe>("name").unwrap(), second);
        second.stop().await;
    });
}

/// gen.erl: start with a name that is taken is `{error, {already_started, Pid}}` with the pid of the
/// holder, and the newcomer never runs its init.
#[test]
fn of_two_children_with_one_name_the_second_never_runs_its_init() {
    run(|| async {
        let log = Log::default();
        let holder = other().await;
        registry::register(&holder, "name").unwrap();
        let app = Supervisor::one_for_one("app").child(kid("a", &log).0.register("name"));
        let error = app.start().await.unwrap_err();
        assert_eq!(error.failed_child(), Some("a"));
        let ExitReason::ChildFailed { reason, .. } = error.reason() else {
            panic!("{error:?}")
        };
        let taken = ExitReason::NameTaken {
            name: "name".into(),
            holder: holder.id(),
        };
        assert_eq!(**reason, taken);
        assert_eq!(log.take(), [""; 0]);
        holder.stop().await;
    });
}

/// gen.erl: register_name/1 comes before init, so of any number of starts that race one runs.
#[test]
fn of_many_starts_that_race_for_a_name_one_runs_its_init() {
    run(|| async {
        for _ in 0..20 {
            let log = Log::default();
            let apps: Vec<_> = (0..4)
                .map(|_| {
                    let a = kid("a", &log).0.register("name");
                    go(Supervisor::one_for_one("app").child(a).start())
                })
                .collect();
            let mut started = Vec::new();
            for app in apps {
                started.extend(app.await.unwrap());
            }
            assert_eq!((started.len(), log.count("a init")), (1, 1));
            started[0].stop().await;
            assert!(is_free("name"));
        }
    });
}

/// gen.erl: a process is registered before its init runs, and found while it does.
#[test]
fn a_child_is_found_while_its_init_runs() {
    run(|| async {
        let log = Log::default();
        let gate = Gate::new();
        let (a, a_kid) = kid_of(Args {
            init_gate: Some(gate.clone()),
            ..Args::new("a", &log)
        });
        assert!(is_free("name"));
        let app = Supervisor::one_for_one("app").child(a.register("name"));
        let starting = go(app.start());
        gate.entered().await;
        assert_eq!(whereis::<Probe>("name").unwrap(), a_kid.handle);
        gate.open();
        starting.await.unwrap().unwrap().stop().await;
        assert!(is_free("name"));
    });
}

/// gen.erl: init_it/6 unregisters the name of a process whose init fails.
#[test]
fn the_name_of_a_child_whose_init_fails_is_free() {
    run(|| async {
        let log = Log::default();
        let (a, a_kid) = kid("a", &log);
        a_kid.fail_inits(1);
        let app = Supervisor::one_for_one("app").child(a.register("name"));
        assert!(app.start().await.is_err());
        assert!(is_free("name"));
    });
}

/// supervisor.erl: a restarted child registers its name again. Ours: it is never given up between.
#[test]
fn a_name_outlives_the_restarts_of_its_child() {
    run(|| async {
        let log = Log::default();
        let (a, a_kid) = kid("a", &log);
        let app = Supervisor::one_for_one("app").intensity(5, LONG);
        let app = app.child(a.register("name")).start().await.unwrap();
        for life in 2..=5 {
            a_kid.crash().await;
            let found = whereis::<Probe>("name").unwrap();
            assert_eq!(Probe::life(&found).await, Ok(life));
        }
        until_restarted(&app, "a", 4).await;
        app.stop().await;
        assert!(is_free("name"));
    });
}

/// supervisor.erl: terminate_child ends the process, and with it its name; restart_child takes it
/// again, or fails if somebody has it.
#[test]
fn a_terminated_childs_name_is_free_for_others() {
    run(|| async {
        let log = Log::default();
        let app = Supervisor::one_for_one("app").child(kid("a", &log).0.register("name"));
        let app = app.start().await.unwrap();
        app.terminate_child("a").await.unwrap();
        assert!(is_free("name"));
        app.restart_child("a").await.unwrap();
        assert!(!is_free("name"));
        app.terminate_child("a").await.unwrap();
        let other = other().await;
        registry::register(&other, "name").unwrap();
        let Err(ChildError::StartFailed(error)) = app.restart_child("a").await else {
            panic!("it started")
        };
        assert!(matches!(error.reason(), ExitReason::NameTaken { .. }));
        app.stop().await;
        other.stop().await;
    });
}

/// supervisor_SUITE: temporary_abnormal, with a name: it is free when the child is forgotten.
#[test]
fn the_name_of_a_child_that_is_not_restarted_is_free() {
    run(|| async {
        let log = Log::default();
        let (a, a_kid) = kid("a", &log);
        let a = a.restart(Restart::Temporary).register("name");
        let app = Supervisor::one_for_one("app").child(a);
        let app = app.start().await.unwrap();
        a_kid.crash().await;
        until_specs(&app, 0).await;
        assert!(is_free("name"));
        app.stop().await;
    });
}

/// gen_server.erl: a call by name to nobody exits with `noproc`. Ours: the look-up fails first.
#[test]
fn a_look_up_of_nobody_is_an_error_that_names_it() {
    run(|| async {
        let error = whereis::<Probe>("nobody").unwrap_err();
        assert!(error.to_string().contains("nobody"), "{error}");
    });
}
