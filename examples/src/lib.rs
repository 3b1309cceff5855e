//! Programs that show how actors are meant to be used.
#![forbid(unsafe_code)]

pub mod kvd;
