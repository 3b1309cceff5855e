//! The process around the tree: arguments, the runtime, signals, the exit code.

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread;

use actor_core::Runtime;
use actor_core::chan::{Receiver, buffered};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use signal_hook::iterator::Signals;

use super::config::{self, Config, HELP, Wanted};
use super::tree::Kvd;

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
    let signals = match catch_signals() {
        Ok(signals) => signals,
        Err(error) => {
            eprintln!("kvd: can't catch signals: {error}");
            return ExitCode::FAILURE;
        }
    };
    let mut builder = Runtime::builder().name("kvd");
    if let Some(procs) = config.procs {
        builder = builder.procs(procs);
    }
    match builder.build() {
        Ok(runtime) => runtime.run(serve(config, signals)),
        Err(error) => {
            eprintln!("kvd: can't start the runtime: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn serve(config: Config, signals: Receiver<i32>) -> ExitCode {
    let kvd = match Kvd::start(config).await {
        Ok(kvd) => kvd,
        Err(error) => {
            eprintln!("kvd: {error}");
            return ExitCode::FAILURE;
        }
    };
    println!("kvd ready on {}", kvd.addr());
    let _ = io::stdout().flush();
    let signal = tokio::select! {
        signal = signals.recv() => signal,
        reason = kvd.ended() => {
            eprintln!("kvd: gave up: {reason}");
            return ExitCode::FAILURE;
        }
    };
    let name = if signal == Some(SIGINT) {
        "SIGINT"
    } else {
        "SIGTERM"
    };
    eprintln!("kvd: {name}: stopping; a second signal stops at once");
    if kvd.stop().await {
        eprintln!("kvd: stopped");
        ExitCode::SUCCESS
    } else {
        eprintln!("kvd: the stop took too long and was cut short");
        ExitCode::FAILURE
    }
}

/// The first SIGTERM or SIGINT comes out of the channel; the second ends the process in its signal
/// handler, whatever state the rest is in.
fn catch_signals() -> io::Result<Receiver<i32>> {
    let caught = Arc::new(AtomicBool::new(false));
    for signal in [SIGTERM, SIGINT] {
        // In this order: the first signal finds the flag down and raises it.
        flag::register_conditional_shutdown(signal, 1, Arc::clone(&caught))?;
        flag::register(signal, Arc::clone(&caught))?;
    }
    let (sender, receiver) = buffered(1);
    let mut signals = Signals::new([SIGTERM, SIGINT])?;
    thread::Builder::new()
        .name("kvd-signals".to_owned())
        .spawn(move || {
            if let Some(signal) = signals.forever().next() {
                let _ = sender.send_blocking(signal);
            }
        })?;
    Ok(receiver)
}
