//! Programs that show how actors are meant to be used.
#![forbid(unsafe_code)]

pub mod kvd;

/// The book's samples, compiled and run as doctests.
#[cfg(doctest)]
mod book {
    #[doc = include_str!("../../book/src/first-steps.md")]
    struct FirstSteps;
}
