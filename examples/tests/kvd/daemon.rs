//! A kvd process and the ways to talk to it. Nothing here sleeps: it waits for lines, bytes and
//! exits, each with a limit after which the test fails and says what it waited for.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// The longest wait for anything.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// A running kvd; killed when dropped.
pub(crate) struct Daemon {
    child: Child,
    pub(crate) addr: SocketAddr,
    dir: Arc<TempDir>,
    lines: Receiver<String>,
    said: String,
    _stdout: BufReader<ChildStdout>,
}

/// The executable, not yet started.
pub(crate) fn kvd() -> Command {
    Command::new(env!("CARGO_BIN_EXE_kvd"))
}

impl Daemon {
    /// Starts one in a new folder, on any port, with more arguments.
    pub(crate) fn start(args: &[&str]) -> Self {
        Self::start_in(Arc::new(TempDir::new().expect("a folder")), args)
    }

    pub(crate) fn start_in(dir: Arc<TempDir>, args: &[&str]) -> Self {
        Self::launch(kvd(), dir, args)
    }

    /// Starts `command`, which ends up being kvd.
    pub(crate) fn launch(mut command: Command, dir: Arc<TempDir>, args: &[&str]) -> Self {
        let mut child = command
            .args(["--port", "0", "--dir"])
            .arg(dir.path())
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("kvd runs");
        let (sender, lines) = channel();
        let stderr = BufReader::new(child.stderr.take().expect("piped"));
        thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        let mut stdout = BufReader::new(child.stdout.take().expect("piped"));
        let mut ready = String::new();
        stdout.read_line(&mut ready).expect("a line");
        let Some(addr) = ready.trim().strip_prefix("kvd ready on ") else {
            let said: Vec<String> = lines.iter().collect();
            panic!("kvd did not start: {said:?}");
        };
        let addr = addr.parse().expect("an address");
        Self {
            child,
            addr,
            dir,
            lines,
            said: String::new(),
            _stdout: stdout,
        }
    }

    /// The folder, for the next daemon.
    pub(crate) fn dir(&self) -> Arc<TempDir> {
        Arc::clone(&self.dir)
    }

    pub(crate) fn log_path(&self) -> PathBuf {
        log_path(self.dir.path())
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// A connection of the client library.
    pub(crate) fn client(&self) -> redis::Connection {
        let client = redis::Client::open(format!("redis://{}/", self.addr)).expect("a URL");
        let connection = client.get_connection().expect("a connection");
        connection.set_read_timeout(Some(LIMIT)).expect("set");
        connection
    }

    /// A bare socket.
    pub(crate) fn raw(&self) -> Raw {
        let stream = TcpStream::connect(self.addr).expect("a connection");
        stream.set_read_timeout(Some(LIMIT)).expect("set");
        stream.set_write_timeout(Some(LIMIT)).expect("set");
        Raw {
            stream: BufReader::new(stream),
        }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.id() as i32).expect("a process");
        kill_process(pid, signal).expect("signalled");
    }

    /// Waits until a line with `text` comes on stderr.
    pub(crate) fn wait_for_line(&mut self, text: &str) -> String {
        loop {
            match self.lines.recv_timeout(LIMIT) {
                Ok(line) => {
                    self.said.push_str(&line);
                    self.said.push('\n');
                    if line.contains(text) {
                        return line;
                    }
                }
                Err(error) => panic!("no line with '{text}' ({error}); it said:\n{}", self.said),
            }
        }
    }

    /// Waits for the end of the process and gives all that it said on stderr.
    pub(crate) fn wait(&mut self) -> (ExitStatus, String) {
        let (sender, exited) = channel();
        let pid = self.child.id();
        thread::spawn(move || {
            // Reports only if the test is still waiting.
            if exited.recv_timeout(LIMIT) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
                let _ = kill_process(Pid::from_raw(pid as i32).expect("a process"), Signal::KILL);
            }
        });
        let status = self.child.wait().expect("it ends");
        let _: Result<(), _> = sender.send(());
        self.said.extend(self.lines.iter().map(|line| line + "\n"));
        (status, self.said.clone())
    }

    pub(crate) fn kill(&mut self) {
        self.signal(Signal::KILL);
        self.wait();
    }

    /// Ends it in order; panics unless it exits with 0.
    pub(crate) fn stop(&mut self) {
        self.signal(Signal::TERM);
        let (status, said) = self.wait();
        assert!(status.success(), "{status}: {said}");
    }

    /// Resident memory in MiB.
    pub(crate) fn memory_mib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid()))
            .expect("the process runs");
        let line = status
            .lines()
            .find(|line| line.starts_with("VmRSS:"))
            .expect("VmRSS");
        let kib: u64 = line
            .split_whitespace()
            .nth(1)
            .expect("a number")
            .parse()
            .expect("a number");
        kib >> 10
    }

    /// Repeats `look` until it gives something: for what shows from outside only by looking.
    pub(crate) fn until<T>(&self, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
        let end = Instant::now() + LIMIT;
        loop {
            if let Some(found) = look() {
                return found;
            }
            assert!(Instant::now() < end, "waited in vain: {what}");
            thread::yield_now();
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn log_path(dir: &Path) -> PathBuf {
    dir.join("kvd.aof")
}

/// A socket to which bytes are written by hand.
pub(crate) struct Raw {
    stream: BufReader<TcpStream>,
}

impl Raw {
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream
            .get_mut()
            .write_all(bytes.as_ref())
            .expect("sent");
    }

    /// As [`send`](Self::send), to a daemon that may have hung up.
    pub(crate) fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.stream.get_mut().write_all(bytes.as_ref()).is_ok()
    }

    pub(crate) fn socket(&self) -> &TcpStream {
        self.stream.get_ref()
    }

    /// The next line; empty at the end of the stream.
    pub(crate) fn line(&mut self) -> String {
        let mut line = Vec::new();
        // A reset is an end too: the daemon hung up with bytes of ours unread.
        match self.stream.read_until(b'\n', &mut line) {
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => {}
            Err(error) => panic!("no line: {error}"),
        }
        String::from_utf8_lossy(&line).trim_end().to_owned()
    }

    /// Sends a line and gives the reply's first.
    pub(crate) fn ask(&mut self, line: &str) -> String {
        self.send(format!("{line}\r\n"));
        self.line()
    }

    /// All that comes until the daemon hangs up.
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        match self.stream.read_to_end(&mut rest) {
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => {}
            Err(error) => panic!("no end after {} bytes: {error}", rest.len()),
        }
        rest
    }

    /// Panics unless the daemon has hung up, without another byte.
    pub(crate) fn expect_end(&mut self) {
        assert_eq!(String::from_utf8_lossy(&self.rest()), "");
    }
}

/// Counts acknowledged things that a test waits for.
#[derive(Clone, Default)]
pub(crate) struct Progress(Arc<(Mutex<u64>, std::sync::Condvar)>);

impl Progress {
    pub(crate) fn add(&self) {
        *self.0.0.lock().expect("no panic") += 1;
        self.0.1.notify_all();
    }

    pub(crate) fn wait_for(&self, more: u64) {
        let mut count = self.0.0.lock().expect("no panic");
        let goal = *count + more;
        while *count < goal {
            let (next, timed_out) = self.0.1.wait_timeout(count, LIMIT).expect("no panic");
            assert!(
                !timed_out.timed_out() || *next >= goal,
                "only {} of {goal}",
                *next
            );
            count = next;
        }
    }
}
