//! Contenders that are programs: each prints its figures as rows like those of `versus` itself.
//!
//! Go and Erlang compete where `go`, or `erl` and `erlc`, is on the PATH; their programs lie in
//! `peers-go/` and `peers-erl/` and are built beside this program. Nothing is downloaded.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::work::{Figure, Work};

/// A program that does one work per start.
#[derive(Clone, Debug)]
pub struct External {
    /// What the tables call it.
    pub name: &'static str,
    /// What makes its figures differ in kind from the others'.
    pub note: &'static str,
    program: PathBuf,
    args: Vec<String>,
}

impl External {
    /// Those that this machine has.
    pub fn all() -> Vec<External> {
        [go(), erlang()].into_iter().flatten().collect()
    }

    /// Does the work so often in a process of its own; nothing when it has no such work.
    pub fn run(&self, work: Work, ops: u64) -> Result<Vec<Figure>, String> {
        let mut command = Command::new(&self.program);
        command
            .args(&self.args)
            .args([work.spec().name, &ops.to_string()]);
        rows(&mut command, work)
    }
}

fn go() -> Option<External> {
    let program = beside_this_program("versus-go");
    let mut build = Command::new("go");
    build.args(["build", "-o"]).arg(&program).arg(".");
    build
        .current_dir(sources("peers-go"))
        .env("GOTOOLCHAIN", "local")
        .env("GOPROXY", "off");
    let note = "a goroutine and channels for an actor";
    succeeds(&mut build).then(|| External {
        name: "Go",
        note,
        program,
        args: Vec::new(),
    })
}

fn erlang() -> Option<External> {
    let folder = beside_this_program("");
    let mut build = Command::new("erlc");
    build
        .arg("-o")
        .arg(&folder)
        .args(["versus.erl", "versus_sup.erl"]);
    build.current_dir(sources("peers-erl"));
    let mut args = ["+P", "3000000", "-noshell", "-noinput", "-pa"]
        .map(str::to_owned)
        .to_vec();
    args.push(folder.display().to_string());
    args.extend(["-run", "versus", "main"].map(str::to_owned));
    let (name, note, program) = ("Erlang", "unbounded mailboxes", "erl".into());
    succeeds(&mut build).then_some(External {
        name,
        note,
        program,
        args,
    })
}

fn sources(folder: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)
}

fn beside_this_program(name: &str) -> PathBuf {
    let this = env::current_exe().expect("this program's path");
    this.parent().expect("a folder").join(name)
}

/// Whether it is there and does its work; says so when it is there and fails.
fn succeeds(command: &mut Command) -> bool {
    let Ok(output) = command.output() else {
        return false;
    };
    if !output.status.success() {
        let what = String::from_utf8_lossy(&output.stderr);
        eprintln!("versus: does without {:?}: {what}", command.get_program());
    }
    output.status.success()
}

/// The figures that a program prints about the work, a row a line.
pub fn rows(command: &mut Command, work: Work) -> Result<Vec<Figure>, String> {
    let output = command.output();
    let failed = |what: &str| format!("{:?} failed at {:?}: {what}", command.get_program(), work);
    let output = output.map_err(|e| failed(&e.to_string()))?;
    if !output.status.success() {
        return Err(failed(&String::from_utf8_lossy(&output.stderr)));
    }
    let rows = String::from_utf8_lossy(&output.stdout);
    Ok(rows.lines().filter_map(|row| figure(row, work)).collect())
}

/// The figure in a row; none when the line is no row of this work.
fn figure(row: &str, work: Work) -> Option<Figure> {
    let row: serde_json::Value = serde_json::from_str(row).ok()?;
    let of = row["work"].as_str()?.strip_prefix(work.spec().name)?;
    let (unit, value) = ["ns", "ms", "bytes"]
        .into_iter()
        .find_map(|unit| row[unit].as_f64().map(|value| (unit, value)))?;
    let mut figure = Figure::of(of, unit, value);
    figure.note = row["note"].as_str().unwrap_or_default().into();
    Some(figure)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_rows_of_the_work_are_figures() {
        let row = r#"{"work":"ask, p50","peer":"Go","ms":1.5,"note":"loud"}"#;
        let read = figure(row, Work::Ask).expect("a figure");
        assert_eq!(
            (read.of.as_str(), read.unit, read.value),
            (", p50", "ms", 1.5)
        );
        assert_eq!(read.note, "loud");
        assert!(figure(row, Work::TellOne).is_none());
        assert!(figure("some warning", Work::Ask).is_none());
    }
}
