//! What a test may return: nothing, or a `Result`.

use std::fmt::Debug;

/// What a simulated test may return: `()`, or a `Result` whose error fails it.
pub trait Outcome {
    /// Why it failed, if it did.
    fn into_failure(self) -> Option<String>;
}

impl Outcome for () {
    fn into_failure(self) -> Option<String> {
        None
    }
}

impl<T: Outcome, E: Debug> Outcome for Result<T, E> {
    fn into_failure(self) -> Option<String> {
        match self {
            Ok(value) => value.into_failure(),
            Err(error) => Some(format!("it returned an error: {error:?}")),
        }
    }
}
