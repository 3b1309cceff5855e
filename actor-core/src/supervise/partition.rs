//! A supervisor over N copies of one actor, each for the keys that hash to it.

use std::{
    fmt,
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
};

use super::{Child, Strategy, Supervisor};
use crate::actor::Actor;

/// The handles of the copies of a [partition supervisor](Supervisor::partition): which copy is for
/// which key. Cheap to clone, valid before the start and across restarts.
pub struct Partition<H> {
    handles: Arc<[H]>,
}

impl Supervisor {
    /// A one_for_one supervisor over `copies` of an actor, and the choice of the copy for a key:
    /// Elixir's `PartitionSupervisor`. `make(n)` makes copy `n`, counted from 0, each with an id
    /// of its own.
    ///
    /// A key goes to the same copy as long as the process runs.
    ///
    /// # Panics
    /// If `copies` is 0: there would be no copy for any key.
    ///
    /// ```
    /// # use actor_core::actor::{Actor, Ctx, ActorRef, Message};
    /// # use std::convert::Infallible;
    /// # struct Cache; struct Put(String); impl Message for Put {}
    /// # impl Actor for Cache {
    /// #     type Msg = Put; type Args = (); type Error = Infallible; type Handle = ActorRef<Self>;
    /// #     const NAME: &'static str = "cache";
    /// #     async fn init(_: (), _: &Ctx<Self>) -> Result<Self, Infallible> { Ok(Cache) }
    /// #     async fn handle(&mut self, _: Put, _: &Ctx<Self>) {}
    /// # }
    /// use actor_core::supervise::{Child, Supervisor};
    ///
    /// let (caches, cache) =
    ///     Supervisor::partition("caches", 4, |n| Child::<Cache>::new(format!("cache-{n}"), || ()));
    /// assert_eq!(cache.of("ada"), cache.of("ada"));
    /// assert_eq!(cache.len(), 4);
    /// # actor_core::Runtime::new().unwrap().run(async move {
    /// let app = Supervisor::one_for_one("app").child(caches).start().await.unwrap();
    /// # app.stop().await;
    /// # });
    /// ```
    #[track_caller]
    pub fn partition<A: Actor>(
        name: impl Into<Arc<str>>,
        copies: usize,
        make: impl FnMut(usize) -> Child<A>,
    ) -> (Self, Partition<A::Handle>) {
        let name = name.into();
        assert!(
            copies > 0,
            "partition \"{name}\": 0 copies would leave no copy for any key; make at least one"
        );
        let children: Vec<Child<A>> = (0..copies).map(make).collect();
        let handles = children.iter().map(Child::handle).collect();
        let supervisor = Self::new(name, Strategy::OneForOne);
        let supervisor = children.into_iter().fold(supervisor, Supervisor::child);
        (supervisor, Partition { handles })
    }
}

impl<H> Partition<H> {
    /// The copy for this key.
    pub fn of<K: Hash + ?Sized>(&self, key: &K) -> &H {
        &self.handles[self.index_of(key)]
    }

    /// The number of the copy for this key.
    pub fn index_of<K: Hash + ?Sized>(&self, key: &K) -> usize {
        // Keyed alike in the whole process, unlike a map's hasher.
        let mut hasher = DefaultHasher::new();
        key.hash(&mut hasher);
        (hasher.finish() % self.handles.len() as u64) as usize
    }

    /// All copies, by number.
    pub fn copies(&self) -> &[H] {
        &self.handles
    }

    /// How many copies there are.
    #[allow(clippy::len_without_is_empty, reason = "it is never empty")]
    pub fn len(&self) -> usize {
        self.handles.len()
    }
}

impl<H> Clone for Partition<H> {
    fn clone(&self) -> Self {
        Self {
            handles: Arc::clone(&self.handles),
        }
    }
}

impl<H> fmt::Debug for Partition<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Partition")
            .field("copies", &self.handles.len())
            .finish()
    }
}
