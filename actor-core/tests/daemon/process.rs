//! A program under test, as seen by its parent.

use std::{
    io::{BufRead, BufReader, Read, Write},
    os::unix::{net::UnixDatagram, process::ExitStatusExt},
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

/// A test that waits longer than this for something fails and says for what.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

pub(crate) struct Process {
    child: Child,
    lines: Receiver<String>,
    /// All lines so far, and those that no `wait_for` has taken.
    seen: Vec<String>,
    waiting: Vec<String>,
}

fn forward(from: impl Read + Send + 'static, to: Sender<String>) {
    thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            let _ = to.send(line);
        }
    });
}

impl Process {
    pub(crate) fn start(program: &str) -> Self {
        Self::start_with(program, &[])
    }

    pub(crate) fn start_with(program: &str, environment: &[(&str, &str)]) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .env(super::PROGRAM, program)
            .envs(environment.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (sender, lines) = channel();
        forward(child.stdout.take().unwrap(), sender.clone());
        forward(child.stderr.take().unwrap(), sender);
        Self {
            child,
            lines,
            seen: Vec::new(),
            waiting: Vec::new(),
        }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, signal).unwrap();
    }

    /// Sends it again and again until the process has ended.
    pub(crate) fn keep_sending(&mut self, signal: Signal) {
        let limit = Instant::now() + LIMIT;
        while self.child.try_wait().unwrap().is_none() {
            assert!(Instant::now() < limit, "it does not end: {:#?}", self.seen);
            self.signal(signal);
            thread::yield_now();
        }
    }

    /// Waits for a line with this text in it, and gives it. Lines may come in any order; each is
    /// given once.
    #[track_caller]
    pub(crate) fn wait_for(&mut self, text: &str) -> String {
        let limit = Instant::now() + LIMIT;
        loop {
            if let Some(at) = self.waiting.iter().position(|line| line.contains(text)) {
                return self.waiting.remove(at);
            }
            let left = limit.saturating_duration_since(Instant::now());
            let Ok(line) = self.lines.recv_timeout(left) else {
                panic!("no {text:?} in {:#?}", self.seen);
            };
            self.seen.push(line.clone());
            self.waiting.push(line);
        }
    }

    /// Fails if it prints anything, or ends, within that time.
    #[track_caller]
    pub(crate) fn is_silent_for(&mut self, time: Duration) {
        let got = self.lines.recv_timeout(time);
        assert_eq!(got, Err(RecvTimeoutError::Timeout), "{:#?}", self.seen);
    }

    /// Lets `wait_for` look at what comes from now on only.
    pub(crate) fn forget(&mut self) {
        self.seen.extend(self.lines.try_iter());
        self.waiting.clear();
    }

    pub(crate) fn say(&mut self, line: &str) {
        writeln!(self.child.stdin.as_mut().unwrap(), "{line}").unwrap();
    }

    /// Waits for its end; how it ended, and all that it printed.
    #[track_caller]
    pub(crate) fn end(mut self) -> (ExitStatus, Vec<String>) {
        let limit = Instant::now() + LIMIT;
        loop {
            let left = limit.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) => self.seen.push(line),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => panic!("it does not end: {:#?}", self.seen),
            }
        }
        let status = self.child.wait().unwrap();
        (status, std::mem::take(&mut self.seen))
    }

    /// Waits for its end; fails unless its exit code is this.
    #[track_caller]
    pub(crate) fn ends_with(self, code: i32) -> Vec<String> {
        let (status, seen) = self.end();
        assert_eq!(
            status.code(),
            Some(code),
            "signal {:?}, {seen:#?}",
            status.signal()
        );
        seen
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The lines that the program itself printed, without its log.
pub(crate) fn said(lines: &[String]) -> Vec<&str> {
    let own = lines.iter().filter(|line| !line.starts_with("log "));
    own.map(String::as_str).collect()
}

/// A service manager's end of the notify socket.
pub(crate) struct Manager {
    socket: UnixDatagram,
    path: PathBuf,
}

impl Manager {
    pub(crate) fn new(name: &str) -> Self {
        let name = format!("actor-daemon-{}-{name}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(LIMIT)).unwrap();
        Self { socket, path }
    }

    pub(crate) fn path(&self) -> &str {
        self.path.to_str().unwrap()
    }

    /// The next message.
    pub(crate) fn told(&self) -> String {
        let mut message = [0; 512];
        let len = self
            .socket
            .recv(&mut message)
            .expect("it is told something");
        String::from_utf8(message[..len].to_vec()).unwrap()
    }

    /// The messages that are there already.
    pub(crate) fn told_so_far(&self) -> Vec<String> {
        self.socket.set_nonblocking(true).unwrap();
        let mut messages = Vec::new();
        let mut message = [0; 512];
        while let Ok(len) = self.socket.recv(&mut message) {
            messages.push(String::from_utf8(message[..len].to_vec()).unwrap());
        }
        self.socket.set_nonblocking(false).unwrap();
        messages
    }
}

impl Drop for Manager {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}
