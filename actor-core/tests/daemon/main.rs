//! Daemons as processes: this binary starts itself again as the program under test, sends it real
//! signals, and reads what it prints. A harness of its own, because the programs' `main` has to
//! return what `Daemon::run` returned.
//!
//! `programs` are the daemons, `process` is how a test holds one, `cases` are the tests. An argument
//! names the tests to run, by a part of their names.

#[cfg(unix)]
mod cases;
#[cfg(unix)]
mod process;
#[cfg(unix)]
mod programs;

/// Names the program to be.
#[cfg(unix)]
const PROGRAM: &str = "ACTOR_DAEMON_PROGRAM";

#[cfg(unix)]
fn main() -> std::process::ExitCode {
    use std::{panic::catch_unwind, process::ExitCode};

    if let Ok(program) = std::env::var(PROGRAM) {
        return programs::main(&program);
    }
    let wanted = std::env::args().skip(1).find(|arg| !arg.starts_with('-'));
    let wanted = wanted.unwrap_or_default();
    let (mut ran, mut failed) = (0, Vec::new());
    for (name, case) in cases::ALL.iter().filter(|(name, _)| name.contains(&wanted)) {
        ran += 1;
        let passed = catch_unwind(case).is_ok();
        println!("test {name} ... {}", if passed { "ok" } else { "FAILED" });
        if !passed {
            failed.push(name);
        }
    }
    println!("{ran} tests, {} failed: {failed:?}", failed.len());
    ExitCode::from(u8::from(!failed.is_empty()))
}

#[cfg(not(unix))]
fn main() {}
