//! The actors of the book's chapter on actors and supervision, tested with the test kit.
#![forbid(unsafe_code)]

use std::time::Duration;

use actor_core::actor::{Down, ExitReason};
use actor_core::chan::{Receiver, Sender, rendezvous};
use actor_core::prelude::*;
use actor_core::testkit::{
    Probe, TestSupervisor, dead_letters, expect_call, expect_msg, expect_restart, stand_in_for,
};

struct Store(Vec<String>);

#[actor]
impl Store {
    #[init]
    fn open(dir: String) -> Result<Self, String> {
        if dir.is_empty() {
            Err("no directory".into())
        } else {
            Ok(Store(Vec::new()))
        }
    }

    pub fn put(&mut self, item: String) -> usize {
        assert!(item != "poison", "bad item");
        self.0.push(item);
        self.0.len()
    }
}

struct Front {
    store: StoreRef,
    ends: Sender<Down>,
}

#[actor]
impl Front {
    #[init]
    fn new(store: StoreRef, ends: Sender<Down>, ctx: &Ctx<Self>) -> Self {
        ctx.monitor(&store);
        Front { store, ends }
    }

    pub async fn save(&mut self, item: String) -> Result<usize, CallError> {
        self.store.put(item).await
    }

    #[down]
    async fn gone(&mut self, down: Down) {
        self.ends.send(down).await.ok();
    }
}

struct Printer {
    pages: Receiver<()>,
}

#[actor(mailbox = buffered(2), overflow = fail)]
impl Printer {
    #[init]
    fn new(pages: Receiver<()>) -> Self {
        Printer { pages }
    }

    /// Takes until somebody takes the page.
    pub async fn print(&mut self, _page: u32) {
        self.pages.recv().await;
    }

    #[priority]
    pub fn status(&mut self) -> &'static str {
        "printing"
    }
}

#[actor_core::test]
async fn front_saves_in_the_store_and_passes_its_answer_on() {
    let (store, puts) = stand_in_for::<Store>();
    let front = Front::start(store, Probe::new().sender()).await.unwrap();
    let saved = go({
        let front = front.clone();
        async move { front.save("apple".into()).await }
    });
    expect_call!(puts, StoreMsg::Put { item } => {
        assert_eq!(item, "apple");
        Ok(3)
    })
    .await;
    assert_eq!(saved.await.unwrap(), Ok(3));
}

#[actor_core::test]
async fn front_learns_of_the_stores_end_and_tells_its_askers() {
    let (store, puts) = stand_in_for::<Store>();
    let ends = Probe::new();
    let front = Front::start(store.clone(), ends.sender()).await.unwrap();
    let saved = go(async move { front.save("apple".into()).await });
    let put = expect_msg!(puts, put @ StoreMsg::Put { .. } => put).await;
    store.kill().await;
    ends.expect_no_msg(Duration::from_millis(1)).await; // it has a message in work: that comes first
    drop(put);
    expect_msg!(
        ends,
        Down {
            reason: ExitReason::Killed,
            ..
        }
    )
    .await;
    let failed = saved.await.unwrap();
    assert_eq!(failed, Err(CallError::Failed(CallError::NoReply)));
}

#[actor_core::test]
async fn a_crash_of_the_store_restarts_the_front_and_not_the_other_way_round() {
    let store = Store::child("store", "/data".to_owned());
    let store_ref = store.handle();
    let ends = Probe::new();
    let front = Front::child("front", store_ref.clone(), ends.sender());
    let front_ref = front.handle();
    let app = Supervisor::rest_for_one("app").child(store).child(front);
    let sup = TestSupervisor::start(app).await;

    let again = expect_restart(&front_ref);
    assert!(front_ref.save("poison".into()).await.is_err());
    assert_eq!(sup.expect_restarted("store").await, 1);
    assert_eq!(sup.expect_restarted("front").await, 1);
    assert_eq!(again.await, 2);
    assert_eq!(front_ref.save("apple".into()).await, Ok(1));

    drop(front_ref.kill());
    assert_eq!(sup.expect_restarted("front").await, 2);
    assert_eq!(
        front_ref.save("pear".into()).await,
        Ok(2),
        "the store lives on"
    );
}

#[actor_core::test]
async fn a_store_without_a_directory_starts_nothing() {
    let app = Supervisor::rest_for_one("app").child(Store::child("store", String::new()));
    let error = TestSupervisor::try_start(app).await.unwrap_err();
    assert_eq!(error.failed_child(), Some("store"));
}

#[actor_core::test]
async fn a_full_printer_refuses_pages_says_so_and_loses_none() {
    let letters = dead_letters();
    let (take, pages) = rendezvous();
    let printer = Printer::start(pages).await.unwrap();
    let mut accepted = 0;
    while printer.print(accepted).tell().await.is_ok() {
        accepted += 1;
    }
    assert_eq!(printer.print(9).await, Err(CallError::Overloaded));
    let status = go({
        let printer = printer.clone();
        async move { printer.status().await }
    });
    let mut taken = 0;
    while taken < accepted {
        take.send(()).await.unwrap();
        taken += 1;
    }
    assert_eq!(status.await.unwrap(), Ok("printing"));
    printer.stop().await;
    letters.expect_none_within(Duration::from_millis(1)).await;
}
