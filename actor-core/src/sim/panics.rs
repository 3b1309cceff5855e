//! Panics inside a simulation: noted, not printed. A thousand seeds with injected panics would fill the
//! screen; the one that matters is in the report.

use std::any::Any;
use std::cell::RefCell;
use std::panic;
use std::sync::Once;

use crate::sched::simulated;

/// A panic of this thread.
#[derive(Debug, Clone)]
pub(super) struct Noted {
    pub(super) text: String,
    pub(super) place: Option<String>,
}

thread_local! {
    static NOTED: RefCell<Vec<Noted>> = const { RefCell::new(Vec::new()) };
}

/// So many are kept, the oldest ones.
const KEPT_MAX: usize = 1000;

/// Adds a panic hook that is silent in simulations and otherwise calls the one that was there.
pub(super) fn hook() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let former = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !simulated::is_active() {
                return former(info);
            }
            let noted = Noted {
                text: text(info.payload()),
                place: info.location().map(ToString::to_string),
            };
            NOTED.with_borrow_mut(|all| {
                if all.len() < KEPT_MAX {
                    all.push(noted);
                }
            });
        }));
    });
}

/// A run begins.
pub(super) fn forget() {
    NOTED.take();
}

/// The panic of this run that had this payload.
pub(super) fn noted(payload: &(dyn Any + Send)) -> Noted {
    let text = text(payload);
    let same = |noted: &&Noted| noted.text == text;
    let known = NOTED.with_borrow(|all| all.iter().rev().find(same).cloned());
    known.unwrap_or(Noted { text, place: None })
}

/// A panic of this run by which tokio says that its runtime is missing: somebody wanted its I/O or timers,
/// and may have survived that.
pub(super) fn missed_tokio() -> Option<Noted> {
    let missed = |noted: &&Noted| noted.text.starts_with(NO_TOKIO);
    NOTED.with_borrow(|all| all.iter().find(missed).cloned())
}

/// How that text begins.
const NO_TOKIO: &str = "there is no reactor running";

fn text(payload: &(dyn Any + Send)) -> String {
    let text = payload
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned());
    text.or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "(a panic without a text)".to_owned())
}
