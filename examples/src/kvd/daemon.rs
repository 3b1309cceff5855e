//! The process around the tree: arguments, the runtime, the exit code.

use std::ffi::OsString;
use std::process::ExitCode;

use actor_core::Runtime;
use actor_core::daemon::{Daemon, DaemonExit};

use super::config::{self, Config, HELP, Wanted};
use super::tree;

/// Runs the daemon with these arguments (without the program's name) until it is told to stop.
///
/// The exit code is 0 after an ordered stop, 2 for bad arguments, otherwise 1.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let config = match config::parse(args) {
        Ok(Wanted::Run(config)) => config,
        Ok(Wanted::Help) => {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        Ok(Wanted::Version) => {
            println!("kvd {}", env!("CARGO_PKG_VERSION"));
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("kvd: {error}; see kvd --help");
            return ExitCode::from(2);
        }
    };
    let mut builder = Runtime::builder().name("kvd");
    if let Some(procs) = config.procs {
        builder = builder.procs(procs);
    }
    match builder.build() {
        Ok(runtime) => runtime.run(serve(config)),
        Err(error) => {
            eprintln!("kvd: can't start the runtime: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn serve(config: Config) -> ExitCode {
    let stop_within = config.stop_within;
    let tree = match tree::plant(config).await {
        Ok(tree) => tree,
        Err(error) => {
            eprintln!("kvd: {error}");
            return ExitCode::FAILURE;
        }
    };
    let exit = Daemon::new(tree)
        .stop_within(stop_within)
        .run_to_end()
        .await;
    match &exit {
        DaemonExit::Overran { .. } => eprintln!("kvd: the stop took too long and was cut short"),
        DaemonExit::GaveUp(reason) => eprintln!("kvd: gave up: {reason}"),
        other => eprintln!("kvd: {other}"),
    }
    // Redis' own codes: whoever watches one tells a failure from a stop, and no more.
    if exit.code() == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
