//! Names: who gets one, who is found under it, and when it is free again.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Wake, Waker};
use std::time::Duration;

use actor_core::actor::ExitReason;
use actor_core::actor::registry::{self, LookupError, RegisterError, whereis};
use actor_core::prelude::*;
use actor_core::supervise::ChildError;

struct Bank {
    inits: Arc<AtomicU32>,
}

#[actor]
impl Bank {
    #[init]
    fn new(inits: Arc<AtomicU32>) -> Self {
        inits.fetch_add(1, Ordering::SeqCst);
        Bank { inits }
    }

    pub fn inits(&self) -> u32 {
        self.inits.load(Ordering::SeqCst)
    }

    pub fn crash(&self) {
        panic!("asked to");
    }

    pub async fn knows(&self, name: String) -> bool {
        whereis::<Bank>(&name).is_ok()
    }
}

struct Shop;

#[actor]
impl Shop {
    #[init]
    fn new() -> Self {
        // The name is there before init runs.
        let me = whereis::<Shop>("shop").expect("registered before init");
        assert_eq!(me.name(), "shop-1");
        Shop
    }

    pub fn sell(&self) {}
}

struct Plain;

#[actor]
impl Plain {
    #[init]
    fn new() -> Self {
        Plain
    }

    pub fn hello(&self) -> u32 {
        1
    }
}

fn counter() -> Arc<AtomicU32> {
    Arc::default()
}

fn is_missing<T>(found: Result<T, LookupError>) -> bool {
    matches!(found, Err(LookupError::NotFound { .. }))
}

#[actor_core::test]
async fn an_actor_is_found_by_its_name_until_it_has_ended() {
    let bank = Bank::start(counter()).await.unwrap();
    assert!(is_missing(whereis::<Bank>("bank")));
    registry::register(&bank, "bank").unwrap();
    assert_eq!(whereis::<Bank>("bank").unwrap(), bank);
    bank.stop().await;
    assert!(
        is_missing(whereis::<Bank>("bank")),
        "free once it has ended"
    );
    assert!(registry::registered().is_empty());
}

#[actor_core::test]
async fn a_name_is_free_when_the_wait_for_a_kill_or_crash_is_over() {
    for round in 0..200 {
        let bank = Bank::start(counter()).await.unwrap();
        registry::register(&bank, "bank").unwrap();
        if round % 2 == 0 {
            drop(bank.kill());
        } else {
            drop(bank.crash().try_tell());
        }
        bank.wait().await;
        assert!(is_missing(whereis::<Bank>("bank")));
        let next = Bank::start(counter()).await.unwrap();
        registry::register(&next, "bank").expect("free at once");
        next.stop().await;
    }
}

#[actor_core::test]
async fn a_wrong_type_is_an_error_that_names_both() {
    let bank = Bank::start(counter()).await.unwrap();
    registry::register(&bank, "bank").unwrap();
    let error = whereis::<Plain>("bank").unwrap_err();
    let LookupError::WrongType { wanted, found, .. } = &error else {
        panic!("{error:?}");
    };
    assert!(wanted.ends_with("::Plain") && found.ends_with("::Bank"));
    let text = error.to_string();
    assert!(text.contains(wanted) && text.contains(found), "{text}");
}

#[actor_core::test]
async fn a_taken_name_is_refused_with_its_holder_who_keeps_it() {
    let first = Bank::start(counter()).await.unwrap();
    let second = Plain::start().await.unwrap();
    registry::register(&first, "bank").unwrap();
    let error = registry::register(&second, "bank").unwrap_err();
    let RegisterError::Taken { holder, .. } = &error else {
        panic!("{error:?}");
    };
    assert_eq!(holder.downcast::<Bank>(), Some(first.clone()));
    assert_eq!(holder.downcast::<Plain>(), None);
    assert!(error.to_string().contains("\"bank\" is already taken"));
    assert_eq!(whereis::<Bank>("bank").unwrap(), first);
    registry::register(&first, "bank").expect("its own name");
}

#[actor_core::test]
async fn a_dead_actor_cannot_be_registered() {
    let bank = Bank::start(counter()).await.unwrap();
    bank.stop().await;
    let refused = registry::register(&bank, "bank");
    assert!(matches!(refused, Err(RegisterError::Stopped { .. })));
    assert!(registry::registered().is_empty());
}

#[actor_core::test]
async fn of_many_that_race_for_a_name_one_gets_it() {
    for _ in 0..50 {
        let wins = counter();
        let mut racers = Vec::new();
        for _ in 0..8 {
            let wins = Arc::clone(&wins);
            racers.push(go(async move {
                let mine = Plain::start().await.unwrap();
                let got = registry::register(&mine, "one").is_ok();
                wins.fetch_add(u32::from(got), Ordering::SeqCst);
                (mine, got)
            }));
        }
        let mut actors = Vec::new();
        for racer in racers {
            actors.push(racer.await.unwrap());
        }
        assert_eq!(wins.load(Ordering::SeqCst), 1);
        let winner = actors.iter().find(|(_, got)| *got).unwrap();
        assert_eq!(whereis::<Plain>("one").unwrap(), winner.0);
        for (actor, _) in actors {
            actor.stop().await;
        }
    }
}

#[actor_core::test]
async fn an_actor_may_have_several_names_and_lose_them_one_by_one() {
    let plain = Plain::start().await.unwrap();
    registry::register(&plain, "a").unwrap();
    registry::register(&plain, "b").unwrap();
    let names: Vec<_> = registry::registered().into_iter().map(|(n, _)| n).collect();
    assert_eq!(names, ["a", "b"]);
    assert_eq!(registry::unregister("a").unwrap().id(), plain.id());
    assert!(registry::unregister("a").is_none());
    assert!(is_missing(whereis::<Plain>("a")));
    assert!(whereis::<Plain>("b").is_ok());
    let other = Plain::start().await.unwrap();
    registry::register(&other, "a").unwrap();
    plain.stop().await;
    assert_eq!(
        whereis::<Plain>("a").unwrap(),
        other,
        "a name that was given up is not freed at the former holder's end"
    );
    assert!(is_missing(whereis::<Plain>("b")));
}

#[actor_core::test]
async fn a_name_keeps_an_actor_alive_and_giving_it_up_does_not() {
    let plain = Plain::start().await.unwrap();
    registry::register(&plain, "plain").unwrap();
    drop(plain);
    let found = whereis::<Plain>("plain").unwrap();
    assert_eq!(found.hello().await, Ok(1));
    let end = found.wait();
    drop(found);
    drop(registry::unregister("plain"));
    assert_eq!(end.await, ExitReason::Normal, "its last handle is gone");
}

#[actor_core::test]
async fn a_registered_child_keeps_its_name_across_a_restart() {
    let inits = counter();
    let child = Bank::child("bank-1", Arc::clone(&inits)).register("bank");
    let handle = child.handle();
    assert!(is_missing(whereis::<Bank>("bank")), "not before it starts");
    let app = Supervisor::one_for_one("app")
        .child(child)
        .start()
        .await
        .unwrap();
    let bank = whereis::<Bank>("bank").unwrap();
    assert_eq!(bank, handle);
    assert_eq!(bank.crash().await, Err(CallError::Panicked));
    // Down or up again, it is found.
    assert_eq!(whereis::<Bank>("bank").unwrap().inits().await, Ok(2));
    app.stop().await;
    assert!(is_missing(whereis::<Bank>("bank")));
}

#[actor_core::test]
async fn a_child_that_comes_second_to_a_name_fails_to_start_and_never_runs_init() {
    let inits = counter();
    let first = Bank::start(counter()).await.unwrap();
    registry::register(&first, "bank").unwrap();
    let child = Bank::child("second", Arc::clone(&inits)).register("bank");
    let second = child.handle();
    let error = Supervisor::one_for_one("app")
        .child(child)
        .start()
        .await
        .unwrap_err();
    assert_eq!(error.failed_child(), Some("second"));
    let ExitReason::ChildFailed { reason, .. } = error.reason() else {
        panic!("{error}");
    };
    let taken = ExitReason::NameTaken {
        name: "bank".into(),
        holder: first.id(),
    };
    assert_eq!(**reason, taken);
    assert!(error.to_string().contains("already taken"), "{error}");
    assert_eq!(inits.load(Ordering::SeqCst), 0);
    assert_eq!(second.wait().await, taken);
    assert_eq!(whereis::<Bank>("bank").unwrap(), first);
}

#[actor_core::test]
async fn of_two_starts_that_race_for_a_name_one_runs_init() {
    for _ in 0..50 {
        let inits = counter();
        let start = |id: &'static str| {
            let child = Bank::child(id, Arc::clone(&inits)).register("bank");
            go(Supervisor::one_for_one("app").child(child).start())
        };
        let (a, b) = (start("a"), start("b"));
        let (a, b) = (a.await.unwrap(), b.await.unwrap());
        assert_eq!(inits.load(Ordering::SeqCst), 1);
        assert!(a.is_ok() != b.is_ok());
        a.or(b).unwrap().stop().await;
        assert!(is_missing(whereis::<Bank>("bank")));
    }
}

#[actor_core::test]
async fn a_terminated_child_loses_its_name_and_gets_it_back_when_started_again() {
    let app = Supervisor::one_for_one("app")
        .child(Shop::child("shop-1").register("shop"))
        .start()
        .await
        .unwrap();
    assert_eq!(whereis::<Shop>("shop").unwrap().sell().await, Ok(()));
    app.terminate_child("shop-1").await.unwrap();
    assert!(is_missing(whereis::<Shop>("shop")));
    app.restart_child("shop-1").await.unwrap();
    assert!(whereis::<Shop>("shop").is_ok());
    app.terminate_child("shop-1").await.unwrap();
    let usurper = Plain::start().await.unwrap();
    registry::register(&usurper, "shop").unwrap();
    let refused = app.restart_child("shop-1").await.unwrap_err();
    let ChildError::StartFailed(error) = refused else {
        panic!("{refused}");
    };
    assert!(matches!(error.reason(), ExitReason::NameTaken { .. }));
    app.stop().await;
    assert_eq!(whereis::<Plain>("shop").unwrap(), usurper);
}

#[actor_core::test]
async fn a_child_whose_restart_finds_the_name_gone_to_another_gives_up() {
    let inits = counter();
    let child = Bank::child("bank", Arc::clone(&inits)).register("bank");
    let app = Supervisor::one_for_one("app")
        .intensity(2, Duration::from_secs(600))
        .child(child)
        .start()
        .await
        .unwrap();
    let bank = whereis::<Bank>("bank").unwrap();
    drop(registry::unregister("bank"));
    let usurper = Plain::start().await.unwrap();
    registry::register(&usurper, "bank").unwrap();
    assert_eq!(bank.crash().await, Err(CallError::Panicked));
    let ExitReason::GaveUp { reason, .. } = app.wait().await else {
        panic!("it can't be restarted without its name");
    };
    assert!(matches!(*reason, ExitReason::NameTaken { .. }));
    assert_eq!(inits.load(Ordering::SeqCst), 1);
}

#[actor_core::test]
async fn a_handler_looks_names_up_in_the_runtime_it_runs_in() {
    let bank = Bank::start(counter()).await.unwrap();
    registry::register(&bank, "bank").unwrap();
    assert_eq!(bank.knows("bank".into()).await, Ok(true));
}

#[test]
fn each_runtime_has_its_own_names_and_a_stop_frees_them() {
    let one = actor_core::Runtime::new().unwrap();
    let two = actor_core::Runtime::new().unwrap();
    let bank = one.block_on(async {
        let bank = Bank::start(counter()).await.unwrap();
        registry::register(&bank, "bank").unwrap();
        bank
    });
    two.block_on(async { assert!(is_missing(whereis::<Bank>("bank"))) });
    {
        let _inside = one.handle().enter();
        assert!(
            whereis::<Bank>("bank").is_ok(),
            "from a thread that has entered it"
        );
    }
    drop(one);
    assert!(bank.is_stopped());
    let _inside = two.handle().enter();
    registry::register(&bank, "bank").expect_err("it is dead");
}

#[test]
#[should_panic(expected = "there is no runtime here to look names up in")]
fn a_look_outside_of_a_runtime_panics() {
    let _ = whereis::<Plain>("plain");
}

/// Looks, at the moment it is woken, whether the name is in the table still.
#[derive(Default)]
struct Looks(AtomicU32);

const FREE: u32 = 1;
const TAKEN: u32 = 2;

impl Wake for Looks {
    fn wake(self: Arc<Self>) {
        let free = registry::unregister("bank").is_none();
        self.0
            .fetch_or(if free { FREE } else { TAKEN }, Ordering::SeqCst);
    }
}

#[actor_core::test]
async fn the_name_is_out_of_the_table_before_anybody_is_told_of_the_end() {
    let bank = Bank::start(counter()).await.unwrap();
    registry::register(&bank, "bank").unwrap();
    let looks = Arc::new(Looks::default());
    let waker = Waker::from(Arc::clone(&looks));
    let mut end = Box::pin(bank.wait());
    assert!(
        end.as_mut()
            .poll(&mut Context::from_waker(&waker))
            .is_pending()
    );
    bank.stop().await;
    while looks.0.load(Ordering::SeqCst) == 0 {
        yield_now().await;
    }
    assert_eq!(looks.0.load(Ordering::SeqCst), FREE);
}
