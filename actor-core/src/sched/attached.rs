//! What higher layers keep once per runtime: names, groups, singletons.
//!
//! - A list that only grows, one value per type, made at the first look. There are a handful of
//!   types, all ours, so a look is a walk over a few pointers and takes no lock.
//! - The values go when the runtime does: nothing of one runtime is found in another, which keeps
//!   tests that run side by side apart.

use std::any::Any;
use std::sync::{Arc, OnceLock, Weak};

use super::{context, shared::Shared};

#[derive(Default)]
pub(crate) struct Attached {
    first: OnceLock<Box<Node>>,
}

struct Node {
    value: Arc<dyn Any + Send + Sync>,
    next: OnceLock<Box<Node>>,
}

impl Attached {
    fn get<T: Any + Send + Sync + Default>(&self) -> Arc<T> {
        let mut place = &self.first;
        loop {
            // Whoever makes the next node makes its own type's; another type's is passed by.
            let node = place.get_or_init(|| {
                Box::new(Node {
                    value: Arc::new(T::default()),
                    next: OnceLock::new(),
                })
            });
            if let Ok(value) = Arc::clone(&node.value).downcast::<T>() {
                return value;
            }
            place = &node.next;
        }
    }
}

/// The value of this type of the runtime that this thread runs in or has entered.
///
/// # Panics
/// Outside of a runtime.
#[track_caller]
pub(crate) fn of_runtime<T: Any + Send + Sync + Default>() -> Arc<T> {
    match context::shared() {
        Some(shared) => shared.attached.get(),
        None => panic!(
            "there is no runtime here to look names up in: call this in a goroutine, inside \
             `block_on`, or after `Handle::enter`"
        ),
    }
}

/// Which runtime something belongs to. It does not keep the runtime.
#[derive(Clone, Debug)]
pub(crate) struct RuntimeId(Weak<Shared>);

impl RuntimeId {
    /// The runtime that this thread runs in or has entered, if there is one.
    pub(crate) fn current() -> Option<Self> {
        context::shared().map(|shared| Self(Arc::downgrade(&shared)))
    }
}

impl PartialEq for RuntimeId {
    fn eq(&self, other: &Self) -> bool {
        self.0.ptr_eq(&other.0)
    }
}

#[cfg(all(test, not(actor_loom)))]
mod tests {
    use super::*;

    #[test]
    fn each_type_has_one_value_and_keeps_it() {
        let attached = Attached::default();
        let number = attached.get::<u64>();
        let text = attached.get::<String>();
        assert!(Arc::ptr_eq(&number, &attached.get::<u64>()));
        assert!(Arc::ptr_eq(&text, &attached.get::<String>()));
    }
}
