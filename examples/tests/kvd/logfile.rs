//! The data file at the start: whole, torn, corrupt, foreign, locked.

use std::fs;
use std::process::Stdio;

use super::daemon::{Daemon, kvd};

/// A log with ten records of the same size, and where each begins.
fn ten_records() -> (Daemon, Vec<usize>) {
    let mut daemon = Daemon::start(&["--shards", "1", "--fsync", "no"]);
    let mut raw = daemon.raw();
    let mut ends = vec![fs::metadata(daemon.log_path()).expect("a log").len() as usize];
    for i in 0..10 {
        assert_eq!(raw.ask(&format!("SET k{i} v{i}")), "+OK");
        ends.push(fs::metadata(daemon.log_path()).expect("a log").len() as usize);
    }
    daemon.stop();
    (daemon, ends)
}

/// Starts on the folder of `before`, checks what is said, and that exactly `kept` keys are there.
fn restart(before: &Daemon, reported: Option<&str>, kept: usize) -> Daemon {
    let mut daemon = Daemon::start_in(before.dir(), &[]);
    if let Some(reported) = reported {
        daemon.wait_for_line(reported);
    }
    let mut raw = daemon.raw();
    assert_eq!(raw.ask("DBSIZE"), format!(":{kept}"));
    for i in 0..kept {
        assert_eq!(raw.ask(&format!("GET k{i}")), "$2");
        assert_eq!(raw.line(), format!("v{i}"));
    }
    daemon
}

#[test]
fn what_was_stored_is_there_after_a_restart() {
    let (before, _) = ten_records();
    let mut daemon = restart(&before, None, 10);
    daemon.stop();
    restart(&daemon, None, 10);
}

#[test]
fn a_torn_tail_is_reported_with_its_offset_and_cut() {
    let (before, ends) = ten_records();
    let bytes = fs::read(before.log_path()).expect("a log");
    for cut in [ends[10] - 1, ends[9] + 5, ends[9] + 1] {
        fs::write(before.log_path(), &bytes[..cut]).expect("written");
        let reported = format!("the last record is incomplete at offset {}", ends[9]);
        let mut daemon = restart(&before, Some(&reported), 9);
        assert_eq!(
            fs::read(daemon.log_path()).expect("a log"),
            &bytes[..ends[9]]
        );
        let aside = daemon
            .log_path()
            .with_extension(format!("aof.cut-{}", ends[9]));
        assert_eq!(fs::read(aside).expect("kept aside"), &bytes[ends[9]..cut]);
        // What comes next is appended behind the cut, and is found again.
        assert_eq!(daemon.raw().ask("SET k9 v9"), "+OK");
        daemon.stop();
        restart(&daemon, None, 10).stop();
    }
}

#[test]
fn a_corrupt_tail_is_reported_with_its_offset_and_cut() {
    let (before, ends) = ten_records();
    let mut bytes = fs::read(before.log_path()).expect("a log");
    bytes[ends[7] + 20] ^= 1;
    fs::write(before.log_path(), &bytes).expect("written");
    let reported = format!("a record's checksum is wrong at offset {}", ends[7]);
    let daemon = restart(&before, Some(&reported), 7);
    assert_eq!(
        fs::read(daemon.log_path()).expect("a log"),
        &bytes[..ends[7]]
    );
    let aside = daemon
        .log_path()
        .with_extension(format!("aof.cut-{}", ends[7]));
    assert_eq!(fs::read(aside).expect("kept aside"), &bytes[ends[7]..]);
}

#[test]
fn a_log_of_which_not_even_the_start_was_written_is_begun_anew() {
    let (before, _) = ten_records();
    fs::write(before.log_path(), b"kvd").expect("written");
    restart(&before, Some("incomplete at offset 0"), 0);
    fs::write(before.log_path(), b"").expect("written");
}

#[test]
fn a_file_that_is_no_log_is_left_alone() {
    let (before, _) = ten_records();
    fs::write(before.log_path(), b"REDIS0011 something precious").expect("written");
    let out = kvd()
        .args(["--port", "0", "--dir"])
        .arg(before.dir().path())
        .output()
        .expect("runs");
    assert_eq!(out.status.code(), Some(1));
    let said = String::from_utf8_lossy(&out.stderr);
    assert!(said.contains("is not a kvd log"), "{said}");
    let after = fs::read(before.log_path()).expect("still there");
    assert_eq!(after, b"REDIS0011 something precious");
}

#[test]
fn two_daemons_never_share_a_file() {
    let daemon = Daemon::start(&[]);
    let out = kvd()
        .args(["--port", "0", "--dir"])
        .arg(daemon.dir().path())
        .stdin(Stdio::null())
        .output()
        .expect("runs");
    assert_eq!(out.status.code(), Some(1));
    let said = String::from_utf8_lossy(&out.stderr);
    assert!(said.contains("another daemon uses it"), "{said}");
    assert_eq!(daemon.raw().ask("PING"), "+PONG");
}

#[test]
fn another_number_of_shards_finds_the_same_keys() {
    let mut daemon = Daemon::start(&["--shards", "3"]);
    let mut raw = daemon.raw();
    for i in 0..50 {
        assert_eq!(raw.ask(&format!("SET k{i} v")), "+OK");
    }
    assert_eq!(raw.ask("FLUSHDB"), "+OK");
    for i in 0..20 {
        assert_eq!(raw.ask(&format!("SET k{i} v")), "+OK");
    }
    for shards in ["1", "2", "5"] {
        daemon.stop();
        daemon = Daemon::start_in(daemon.dir(), &["--shards", shards]);
        let mut raw = daemon.raw();
        assert_eq!(raw.ask("DBSIZE"), ":20");
        assert_eq!(raw.ask("EXISTS k0 k7 k19 k20"), ":3");
    }
}
