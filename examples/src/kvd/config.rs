//! The command line: what can be set, its defaults, and what is wrong with what was given.

use std::ffi::OsString;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::time::Duration;

/// What `--help` prints.
pub const HELP: &str = "\
kvd: a Redis-compatible key-value daemon made of actors

usage: kvd [options]

  --port N             TCP port; 0 lets the system choose (default 6379)
  --bind ADDRESS       address to listen on (default 127.0.0.1)
  --dir FOLDER         where the data file kvd.aof lives (default .)
  --fsync WHEN         always: a write is answered, and read, once it is on the disk
                       everysec: synced every second (default)
                       no: when the system likes
  --max-bulk SIZE      longest value, such as 512mb (default 512mb, at most 1gb)
  --max-clients N      more are refused (default 10000)
  --procs N            cores to use (default: all)
  --shards N           actors that share the keys (default: one per core)
  --stop-within SECS   how long an ordered stop may take (default 10)
  --request-within SECS  how long a half-sent request may pause (default 60)
  --help, --version

SIGTERM or SIGINT stops in order; a second one at once. SIGQUIT prints the tree
of actors.
";

/// When writes reach the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fsync {
    /// Before the client is answered.
    Always,
    /// Every second.
    EverySecond,
    /// When the operating system likes.
    No,
}

impl Fsync {
    /// Redis' word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Always => "always",
            Self::EverySecond => "everysec",
            Self::No => "no",
        }
    }
}

/// What the daemon runs with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Address to listen on.
    pub bind: IpAddr,
    /// Port to listen on; 0 for any.
    pub port: u16,
    /// Folder of the data file.
    pub dir: PathBuf,
    /// When writes reach the disk.
    pub fsync: Fsync,
    /// Longest bulk string taken from a client.
    pub bulk_bytes_max: usize,
    /// Connections served at a time.
    pub clients_max: usize,
    /// Cores to use; `None`: all.
    pub procs: Option<usize>,
    /// Shard actors; `None`: one per core.
    pub shards: Option<usize>,
    /// How long an ordered stop may take.
    pub stop_within: Duration,
    /// How long a half-sent request may pause.
    pub request_within: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            bind: IpAddr::V4(Ipv4Addr::LOCALHOST),
            port: 6379,
            dir: PathBuf::from("."),
            fsync: Fsync::EverySecond,
            bulk_bytes_max: 512 << 20,
            clients_max: 10_000,
            procs: None,
            shards: None,
            stop_within: Duration::from_secs(10),
            request_within: Duration::from_secs(60),
        }
    }
}

/// What the command line asks for.
#[derive(Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Run the daemon.
    Run(Config),
    /// Print [`HELP`].
    Help,
    /// Print the version.
    Version,
}

/// What is wrong with the command line.
#[derive(Debug, PartialEq, Eq)]
pub struct ConfigError(String);

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ConfigError {}

impl From<lexopt::Error> for ConfigError {
    fn from(error: lexopt::Error) -> Self {
        Self(error.to_string())
    }
}

/// Reads the arguments, without the program's name.
///
/// # Errors
/// Says which option is wrong and what it takes.
pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Wanted, ConfigError> {
    use lexopt::prelude::*;

    let mut config = Config::default();
    let mut parser = lexopt::Parser::from_args(args);
    while let Some(arg) = parser.next()? {
        let name = match arg {
            Short('h') | Long("help") => return Ok(Wanted::Help),
            Short('V') | Long("version") => return Ok(Wanted::Version),
            Long("dir") => {
                config.dir = parser.value()?.into();
                continue;
            }
            Long(name) => name.to_owned(),
            other => return Err(other.unexpected().into()),
        };
        if !HELP.contains(&format!("  --{name} ")) {
            return Err(ConfigError(format!("invalid option '--{name}'")));
        }
        let value = parser.value()?;
        let value = value.to_string_lossy();
        let wrong = |takes: &str| ConfigError(format!("--{name} takes {takes}, not '{value}'"));
        let count = |most: usize| {
            let count = value.parse().ok().filter(|n| (1..=most).contains(n));
            count.ok_or_else(|| wrong(&format!("a number from 1 to {most}")))
        };
        let seconds = || {
            let seconds = value
                .parse()
                .ok()
                .and_then(|s| Duration::try_from_secs_f64(s).ok());
            seconds.ok_or_else(|| wrong("a number of seconds"))
        };
        match name.as_str() {
            "port" => config.port = value.parse().map_err(|_| wrong("a port from 0 to 65535"))?,
            "bind" => config.bind = value.parse().map_err(|_| wrong("an IP address"))?,
            "fsync" => {
                config.fsync = match &*value {
                    "always" => Fsync::Always,
                    "everysec" => Fsync::EverySecond,
                    "no" => Fsync::No,
                    _ => return Err(wrong("always, everysec or no")),
                }
            }
            "max-bulk" => {
                config.bulk_bytes_max = parse_size(&value)
                    .filter(|size| (1..=1 << 30).contains(size))
                    .ok_or_else(|| wrong("a size such as 64kb or 512mb, at most 1gb"))?;
            }
            "max-clients" => config.clients_max = count(1_000_000)?,
            "procs" => config.procs = Some(count(1024)?),
            "shards" => config.shards = Some(count(1024)?),
            "stop-within" => config.stop_within = seconds()?,
            "request-within" => config.request_within = seconds()?,
            _ => return Err(ConfigError(format!("invalid option '--{name}'"))),
        }
    }
    Ok(Wanted::Run(config))
}

fn parse_size(text: &str) -> Option<usize> {
    let text = text.to_ascii_lowercase();
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match &text[digits.len()..] {
        "" | "b" => 1,
        "k" | "kb" => 1 << 10,
        "m" | "mb" => 1 << 20,
        "g" | "gb" => 1 << 30,
        _ => return None,
    };
    digits.parse::<usize>().ok()?.checked_mul(unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_line(line: &str) -> Result<Wanted, String> {
        parse(line.split_whitespace().map(OsString::from)).map_err(|error| error.to_string())
    }

    #[test]
    fn every_option_is_read() {
        let line = "--port 1 --bind 0.0.0.0 --dir /x --fsync always --max-bulk 64kb --max-clients 5 \
                    --procs 3 --shards 4 --stop-within 0.5 --request-within 7";
        let expected = Config {
            bind: [0, 0, 0, 0].into(),
            port: 1,
            dir: "/x".into(),
            fsync: Fsync::Always,
            bulk_bytes_max: 64 << 10,
            clients_max: 5,
            procs: Some(3),
            shards: Some(4),
            stop_within: Duration::from_millis(500),
            request_within: Duration::from_secs(7),
        };
        assert_eq!(parse_line(line), Ok(Wanted::Run(expected)));
        assert_eq!(parse_line(""), Ok(Wanted::Run(Config::default())));
        assert_eq!(parse_line("--port 0 --help"), Ok(Wanted::Help));
    }

    #[test]
    fn mistakes_are_named() {
        let cases = [
            ("--port x", "--port takes a port from 0 to 65535, not 'x'"),
            (
                "--port 70000",
                "--port takes a port from 0 to 65535, not '70000'",
            ),
            ("--bind here", "--bind takes an IP address, not 'here'"),
            (
                "--fsync maybe",
                "--fsync takes always, everysec or no, not 'maybe'",
            ),
            (
                "--max-bulk 2gb",
                "--max-bulk takes a size such as 64kb or 512mb, at most 1gb, not '2gb'",
            ),
            (
                "--shards 0",
                "--shards takes a number from 1 to 1024, not '0'",
            ),
            (
                "--stop-within -1",
                "--stop-within takes a number of seconds, not '-1'",
            ),
            ("--color", "invalid option '--color'"),
            ("here", "unexpected argument \"here\""),
            ("--port", "missing argument for option '--port'"),
        ];
        for (line, error) in cases {
            assert_eq!(parse_line(line), Err(error.to_owned()), "{line}");
        }
    }
}
