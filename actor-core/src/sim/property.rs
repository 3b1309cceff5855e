//! `always!` and `sometimes!`.

use super::world;

/// Says that something holds whenever this line is reached: an invariant.
///
/// In a simulation a condition that is false ends the run, which has failed. Elsewhere it is an
/// `assert!`.
///
/// ```
/// use actor_core::always;
/// let (sum, limit) = (3, 10);
/// always!(sum <= limit, "no more than the limit is given out");
/// ```
#[macro_export]
macro_rules! always {
    ($holds:expr, $name:expr $(,)?) => {
        $crate::sim::always(
            $holds,
            $name,
            ::core::concat!(::core::file!(), ":", ::core::line!()),
        )
    };
}

/// Says that something is true at this line in one seed at least: that the simulation gets there.
///
/// If no seed of a [`check`](crate::sim::check()) makes it true, the check fails: it doesn't test what it
/// is meant to test. Elsewhere it does nothing. A line that is never reached is unknown;
/// [`Check::reaches`](crate::sim::Check::reaches) names what has to be reached.
///
/// ```
/// use actor_core::sometimes;
/// let retried = true;
/// sometimes!(retried, "a request is tried again");
/// ```
#[macro_export]
macro_rules! sometimes {
    ($holds:expr, $name:expr $(,)?) => {
        $crate::sim::sometimes($holds, $name)
    };
}

/// See the macro.
#[doc(hidden)]
#[track_caller]
pub fn always(holds: bool, name: &'static str, place: &'static str) {
    if holds {
        return;
    }
    match world::try_current() {
        Some(world) => world.violated(name, place),
        None => panic!("not always: {name}"),
    }
}

/// See the macro.
#[doc(hidden)]
pub fn sometimes(holds: bool, name: &'static str) {
    if let Some(world) = world::try_current() {
        world.reached(name, holds);
    }
}
