//! The programs of `go-by-example/`, each in Rust and in Go: both print what is in `output.txt`.
//!
//! A folder is a program: `main.rs`, its twin `main.go`, and `output.txt`. The Go text is run where
//! a `go` that knows `WaitGroup.Go` (1.25) is on the PATH; elsewhere that test says so and skips.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// A program that takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(120);

/// The names, and what Cargo built for each: a name without its `[[bin]]` doesn't compile.
macro_rules! programs {
    ($($name:literal,)*) => {
        const PROGRAMS: &[(&str, &str)] =
            &[$(($name, env!(concat!("CARGO_BIN_EXE_gbe-", $name)))),*];
    };
}

programs![
    "actors",
    "atomic-counters",
    "buffered-channels",
    "channel-directions",
    "channel-synchronization",
    "channels",
    "closing-channels",
    "cond-queue",
    "context",
    "deadlock",
    "dining-philosophers",
    "errgroup",
    "fan-out-fan-in",
    "goroutines",
    "graceful-stop",
    "mutexes",
    "nil-channels",
    "non-blocking",
    "once",
    "panics",
    "pipeline",
    "pool",
    "prime-sieve",
    "pub-sub",
    "race-condition",
    "range-over-channels",
    "rate-limiting",
    "rwmutex-cache",
    "select",
    "semaphore",
    "stateful-goroutines",
    "supervisor",
    "tickers",
    "timeouts",
    "timers",
    "wait-groups",
    "worker-pools",
];

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("go-by-example")
        .join(name)
}

/// What a program printed, or what went wrong with it.
fn output_of(command: &mut Command) -> Result<String, String> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("does not start: {error}"))?;
    let begin = Instant::now();
    // The outputs are far smaller than a pipe, so nobody has to read meanwhile.
    while child
        .try_wait()
        .map_err(|error| error.to_string())?
        .is_none()
    {
        if begin.elapsed() > PATIENCE {
            child.kill().map_err(|error| error.to_string())?;
            child.wait().map_err(|error| error.to_string())?;
            return Err(format!("did not end within {PATIENCE:?}"));
        }
        thread::sleep(Duration::from_millis(1));
    }
    let output = child
        .wait_with_output()
        .map_err(|error| error.to_string())?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        return Err(format!("ended with {}:\n{stderr}", output.status));
    }
    String::from_utf8(output.stdout).map_err(|error| error.to_string())
}

/// Compares with `output.txt`; says what differs.
fn compare(name: &str, what: &str, printed: Result<String, String>) -> Result<(), String> {
    let printed = printed.map_err(|fault| format!("{name}/{what} {fault}"))?;
    let expected = fs::read_to_string(folder(name).join("output.txt"))
        .map_err(|error| format!("{name}/output.txt can't be read: {error}"))?;
    if printed == expected {
        Ok(())
    } else {
        Err(format!(
            "{name}/{what} printed:\n{printed}instead of:\n{expected}"
        ))
    }
}

fn check(results: impl Iterator<Item = Result<(), String>>) {
    let faults: Vec<_> = results.filter_map(Result::err).collect();
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn every_folder_is_a_program_with_its_twin_and_its_output() {
    let folders: BTreeSet<_> = fs::read_dir(folder(""))
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.file_type().unwrap().is_dir())
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    let registered: BTreeSet<_> = PROGRAMS.iter().map(|(name, _)| name.to_string()).collect();
    assert_eq!(
        folders, registered,
        "the folders and the programs of this test differ"
    );
    for name in &folders {
        for file in ["main.rs", "main.go", "output.txt"] {
            assert!(
                folder(name).join(file).is_file(),
                "{name} has no file {file}"
            );
        }
    }
}

#[test]
fn every_program_prints_its_output() {
    check(
        PROGRAMS
            .iter()
            .map(|(name, program)| compare(name, "main.rs", output_of(&mut Command::new(program)))),
    );
}

/// The version of the `go` on the PATH: "1.27" is (1, 27).
fn go_version() -> Option<(u32, u32)> {
    let text = output_of(Command::new("go").arg("version")).ok()?;
    let (_, version) = text.split_once(" go")?;
    let mut numbers = version.split(['.', ' ']);
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[test]
fn every_twin_in_go_prints_the_same() {
    match go_version() {
        Some(version) if version >= (1, 25) => {}
        version => {
            println!("skipped: needs go 1.25 on the PATH, found {version:?}");
            return;
        }
    }
    check(PROGRAMS.iter().map(|(name, _)| {
        let mut go = Command::new("go");
        go.args(["run", "main.go"]).current_dir(folder(name));
        compare(name, "main.go", output_of(&mut go))
    }));
}
