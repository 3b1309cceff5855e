//! The command line and what stands in the way of a start.

use super::daemon::{Daemon, kvd};

#[test]
fn bad_arguments_are_named_and_exit_with_2() {
    for (args, text) in [
        (
            &["--port", "x"][..],
            "--port takes a port from 0 to 65535, not 'x'",
        ),
        (&["--color"], "invalid option '--color'"),
        (
            &["--fsync", "maybe"],
            "--fsync takes always, everysec or no, not 'maybe'",
        ),
    ] {
        let out = kvd().args(args).output().expect("runs");
        assert_eq!(out.status.code(), Some(2), "{args:?}");
        let said = String::from_utf8_lossy(&out.stderr);
        assert!(said.contains(text), "{said}");
    }
}

#[test]
fn help_names_every_option() {
    let out = kvd().arg("--help").output().expect("runs");
    assert!(out.status.success());
    let help = String::from_utf8_lossy(&out.stdout);
    for option in [
        "--port",
        "--bind",
        "--dir",
        "--fsync",
        "--max-bulk",
        "--max-clients",
        "--procs",
        "--shards",
        "--stop-within",
        "--request-within",
    ] {
        assert!(help.contains(option), "{option}");
    }
}

#[test]
fn a_port_in_use_is_said_plainly() {
    let daemon = Daemon::start(&[]);
    let dir = tempfile::tempdir().expect("a folder");
    let port = daemon.addr.port().to_string();
    let out = kvd()
        .args(["--port", &port, "--dir"])
        .arg(dir.path())
        .output()
        .expect("runs");
    assert_eq!(out.status.code(), Some(1));
    let said = String::from_utf8_lossy(&out.stderr);
    assert!(
        said.contains(&format!(
            "can't listen on {}: the port is in use",
            daemon.addr
        )),
        "{said}"
    );
}

#[test]
fn a_folder_that_cannot_be_used_is_said_plainly() {
    let out = kvd()
        .args(["--port", "0", "--dir", "/dev/null/x"])
        .output()
        .expect("runs");
    assert_eq!(out.status.code(), Some(1));
    let said = String::from_utf8_lossy(&out.stderr);
    assert!(said.contains("can't make the folder /dev/null/x"), "{said}");
}
