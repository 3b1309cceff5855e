//! The daemon's executable; see `examples::kvd`.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    examples::kvd::main(std::env::args_os().skip(1))
}
