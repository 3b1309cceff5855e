//! Children that come and go: simple_one_for_one, and what Elixir's DynamicSupervisor adds.
//!
//! Ours: there is no template; each `start_child` brings a spec, and returns a key, which names the
//! child as OTP's pid does and outlives its restarts.

use std::collections::HashSet;

use actor_core::{
    actor::ExitReason,
    supervise::{
        AutoShutdown, ChildError, ChildKey, ChildState, Restart, Supervisor, SupervisorRef,
    },
};

use crate::{Kid, LONG, idle, kid, probe::Log, run, until_specs};

async fn rooms() -> SupervisorRef {
    let app = Supervisor::dynamic("rooms").intensity(1, LONG);
    app.start().await.unwrap()
}

async fn add(app: &SupervisorRef, log: &Log, restart: Restart) -> (ChildKey, Kid) {
    let (room, kid) = kid("room", log);
    let key = app.start_child(room.restart(restart)).await.unwrap();
    (key, kid)
}

/// supervisor.erl: init_dynamic/2 starts no child.
#[test]
fn it_starts_without_children() {
    run(|| async {
        let app = rooms().await;
        assert_eq!(app.which_children().await.unwrap(), []);
        app.stop().await;
    });
}

/// supervisor.erl: simple_one_for_one has one spec; ours refuses children that come with the start.
#[test]
fn it_cannot_be_started_with_children() {
    run(|| async {
        let app = Supervisor::dynamic("rooms").child(idle("a"));
        let error = app.start().await.unwrap_err();
        assert_eq!(error.failed_child(), Some("a"));
    });
}

/// EEP 56, later: bad_combination of simple_one_for_one and auto_shutdown.
#[test]
fn it_cannot_shut_down_by_itself() {
    run(|| async {
        let app = Supervisor::dynamic("rooms").auto_shutdown(AutoShutdown::AnySignificant);
        let error = app.start().await.unwrap_err();
        assert!(matches!(error.reason(), ExitReason::Misconfigured { .. }));
    });
}

/// supervisor_SUITE: child_adm_simple. Children are told apart by what start_child returned.
#[test]
fn children_may_share_an_id_and_have_keys_of_their_own() {
    run(|| async {
        let log = Log::default();
        let app = rooms().await;
        let mut keys = HashSet::new();
        for _ in 0..10 {
            keys.insert(add(&app, &log, Restart::Permanent).await.0);
        }
        assert_eq!(keys.len(), 10);
        let listed = app.which_children().await.unwrap();
        assert_eq!(listed.iter().map(|c| c.key).collect::<HashSet<_>>(), keys);
        app.stop().await;
    });
}

/// supervisor_SUITE: child_adm_simple. terminate_child by pid ends this child and forgets it.
#[test]
fn terminate_child_by_key_ends_one_and_forgets_it() {
    run(|| async {
        let log = Log::default();
        let app = rooms().await;
        let (one, one_kid) = add(&app, &log, Restart::Permanent).await;
        let (_, two_kid) = add(&app, &log, Restart::Permanent).await;
        assert_eq!(app.terminate_child(one).await, Ok(()));
        assert!(one_kid.handle.is_stopped());
        assert_eq!(two_kid.life().await, 1);
        assert_eq!(app.count_children().await.unwrap().specs, 1);
        assert_eq!(
            app.which_child(one).await,
            Err(ChildError::NotFound { child: one.into() })
        );
        app.stop().await;
    });
}

/// supervisor.erl: terminate_child by pid is ok for one that has ended.
#[test]
fn terminate_child_of_one_that_is_gone_is_ok() {
    run(|| async {
        let log = Log::default();
        let app = rooms().await;
        let (key, kid) = add(&app, &log, Restart::Temporary).await;
        kid.crash().await;
        until_specs(&app, 0).await;
        // Another child has its place in the table by now; the key doesn't name that.
        let (_, next) = add(&app, &log, Restart::Temporary).await;
        assert_eq!(app.terminate_child(key).await, Ok(()));
        assert_eq!(next.life().await, 1);
        app.stop().await;
    });
}

/// supervisor.erl: terminate_child by the pid of a process that is no child is not_found.
#[test]
fn terminate_child_of_another_supervisors_child_is_not_found() {
    run(|| async {
        let log = Log::default();
        let (app, other) = (rooms().await, rooms().await);
        let (key, kid) = add(&other, &log, Restart::Permanent).await;
        assert_eq!(
            app.terminate_child(key).await,
            Err(ChildError::NotFound { child: key.into() })
        );
        assert_eq!(kid.life().await, 1);
        app.stop().await;
        other.stop().await;
    });
}

/// supervisor.erl: terminate_child by id is `{error, simple_one_for_one}`.
#[test]
fn requests_by_id_are_refused() {
    run(|| async {
        let app = rooms().await;
        app.start_child(idle("a")).await.unwrap();
        assert_eq!(app.terminate_child("a").await, Err(ChildError::Dynamic));
        assert_eq!(app.which_child("a").await, Err(ChildError::Dynamic));
        app.stop().await;
    });
}

/// supervisor.erl: restart_child and delete_child are `{error, simple_one_for_one}`.
#[test]
fn restart_child_and_delete_child_are_refused() {
    run(|| async {
        let app = rooms().await;
        let key = app.start_child(idle("a")).await.unwrap();
        assert_eq!(app.restart_child(key).await, Err(ChildError::Dynamic));
        assert_eq!(app.delete_child(key).await, Err(ChildError::Dynamic));
        assert_eq!(app.restart_child("a").await, Err(ChildError::Dynamic));
        assert_eq!(app.delete_child("a").await, Err(ChildError::Dynamic));
        assert_eq!(app.count_children().await.unwrap().active, 1);
        app.stop().await;
    });
}

/// DynamicSupervisor: max_children refuses one more with `{error, max_children}`.
#[test]
fn max_children_refuses_one_more() {
    run(|| async {
        let log = Log::default();
        let app = Supervisor::dynamic("rooms").max_children(2);
        let app = app.start().await.unwrap();
        let first = app.start_child(idle("a")).await.unwrap();
        app.start_child(idle("b")).await.unwrap();
        let refused = app.start_child(kid("c", &log).0).await;
        assert_eq!(refused, Err(ChildError::MaxChildren { max: 2 }));
        assert_eq!(log.take(), [""; 0], "its init never ran");
        app.terminate_child(first).await.unwrap();
        assert!(app.start_child(kid("c", &log).0).await.is_ok());
        app.stop().await;
    });
}

/// DynamicSupervisor: a child that ends makes room under max_children.
#[test]
fn a_child_that_ends_makes_room() {
    run(|| async {
        let log = Log::default();
        let app = Supervisor::dynamic("rooms").max_children(1);
        let app = app.start().await.unwrap();
        for _ in 0..5 {
            let (_, kid) = add(&app, &log, Restart::Transient).await;
            kid.finish().await;
            until_specs(&app, 0).await;
        }
        app.stop().await;
    });
}

/// DynamicSupervisor: a child that is being restarted still counts under max_children.
#[test]
fn a_child_that_is_being_restarted_takes_its_room() {
    run(|| async {
        let log = Log::default();
        let app = Supervisor::dynamic("rooms").max_children(1);
        let app = app.intensity(u32::MAX, LONG).start().await.unwrap();
        let (key, kid) = add(&app, &log, Restart::Permanent).await;
        kid.fail_inits(u32::MAX);
        kid.crash().await;
        log.seen("room init", 2).await;
        let state = app.which_child(key).await.unwrap().state;
        assert_eq!(state, ChildState::Restarting);
        let refused = app.start_child(idle("b")).await;
        assert_eq!(refused, Err(ChildError::MaxChildren { max: 1 }));
        app.terminate_child(key).await.unwrap();
        assert!(app.start_child(idle("b")).await.is_ok());
        app.stop().await;
    });
}

/// supervisor.erl: handle_call start_child of simple_one_for_one keeps nothing of a failed start.
#[test]
fn a_child_that_cannot_start_is_forgotten() {
    run(|| async {
        let log = Log::default();
        let app = rooms().await;
        let (bad, bad_kid) = kid("bad", &log);
        bad_kid.fail_inits(1);
        let failed = app.start_child(bad).await;
        assert!(matches!(failed, Err(ChildError::StartFailed(e)) if e.name() == "bad"));
        assert_eq!(app.count_children().await.unwrap().specs, 0);
        app.stop().await;
    });
}

/// supervisor.erl: a restarted child of simple_one_for_one has another pid. Ours: its key stays.
#[test]
fn a_key_outlives_the_restarts_of_its_child() {
    run(|| async {
        let log = Log::default();
        let app = rooms().await;
        let (key, kid) = add(&app, &log, Restart::Permanent).await;
        kid.crash().await;
        assert_eq!(kid.life().await, 2);
        let info = app.which_child(key).await.unwrap();
        assert_eq!((info.key, info.restarts), (key, 1));
        app.terminate_child(key).await.unwrap();
        assert!(kid.handle.is_stopped());
        app.stop().await;
    });
}

/// supervisor.erl: a simple_one_for_one supervisor that is restarted has no children, and old names
/// name nothing.
#[test]
fn a_restarted_one_begins_without_children() {
    run(|| async {
        let log = Log::default();
        let rooms = Supervisor::dynamic("rooms").intensity(0, LONG);
        let rooms_ref = rooms.handle();
        let app = Supervisor::one_for_one("app").child(rooms);
        let app = app.start().await.unwrap();
        let (key, kid) = add(&rooms_ref, &log, Restart::Permanent).await;
        kid.crash().await;
        crate::until_restarted(&app, "rooms", 1).await;
        assert_eq!(rooms_ref.which_children().await.unwrap(), []);
        assert!(kid.handle.is_stopped());
        let (_, next) = add(&rooms_ref, &log, Restart::Permanent).await;
        assert_eq!(rooms_ref.terminate_child(key).await, Ok(()));
        assert_eq!(next.life().await, 1);
        app.stop().await;
    });
}

/// supervisor_SUITE: count_children, its simple_one_for_one part.
#[test]
fn count_children_counts_each_of_them() {
    run(|| async {
        let log = Log::default();
        let app = rooms().await;
        for _ in 0..3 {
            add(&app, &log, Restart::Permanent).await;
        }
        app.start_child(Supervisor::one_for_one("inner"))
            .await
            .unwrap();
        let counts = app.count_children().await.unwrap();
        assert_eq!((counts.specs, counts.active), (4, 4));
        assert_eq!((counts.supervisors, counts.workers), (1, 3));
        app.stop().await;
    });
}
