//! A client inside of the process: what a connection does, without a socket.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use super::super::command;
use super::super::plan::{Outlet, Plan};
use super::super::resp::{Parser, parse_i64, reply};
use super::super::services::Services;
use super::DrillError;
use super::disaster::Chance;
use crate::linear::{History, Op, OpenCall, Reply};

/// See the module.
pub(super) struct Client {
    number: u64,
    services: Arc<Services>,
    crew: Crew,
}

/// What all clients of a drill share.
#[derive(Clone, Default)]
pub(super) struct Crew {
    pub(super) history: History,
    /// Writes so far: each has a value of its own.
    writes: Arc<AtomicI64>,
}

/// A command with one key or, if it is an `MGET` or `MSET`, with several.
struct Command {
    words: Vec<String>,
    parts: Vec<(String, Op)>,
}

/// Where a plan's replies go.
struct Inbox(Vec<u8>);

impl Outlet for Inbox {
    async fn send(&mut self, out: &mut Vec<u8>) -> io::Result<()> {
        self.0.append(out);
        Ok(())
    }
}

impl Client {
    pub(super) fn new(number: u64, services: &Arc<Services>, crew: &Crew) -> Self {
        Self {
            number,
            services: Arc::clone(services),
            crew: crew.clone(),
        }
    }

    /// Reads every key, one after the other.
    pub(super) async fn read_all(&mut self, keys: usize) -> Result<(), DrillError> {
        for key in 0..keys {
            let (words, op) = one_key(&key_name(key), Op::Get);
            let parts = vec![op];
            self.send(vec![Command { words, parts }]).await?;
        }
        Ok(())
    }

    /// Sends one to three random commands and waits for all replies.
    pub(super) async fn send_pipeline(
        &mut self,
        keys: usize,
        chance: &Chance,
    ) -> Result<(), DrillError> {
        let commands = (0..=chance.below(3))
            .map(|_| self.random(keys, chance))
            .collect();
        self.send(commands).await
    }

    fn random(&self, keys: usize, chance: &Chance) -> Command {
        let key = key_name(chance.below(keys));
        // No two are the same, and there is room for increments between them.
        let value = (self.crew.writes.fetch_add(1, Ordering::SeqCst) + 1) * 1000;
        let op = match chance.below(12) {
            0..4 => Op::Get,
            4 | 5 => Op::Set(value),
            6 => Op::Swap(value),
            7 => Op::SetIfMissing(value),
            8 => Op::SetIfPresent(value),
            9 => Op::Add(1 + chance.below(3) as i64),
            10 => Op::Del,
            _ => return self.several(key, value, keys, chance),
        };
        let (words, part) = one_key(&key, op);
        Command {
            words,
            parts: vec![part],
        }
    }

    /// An `MGET` or `MSET` of two keys.
    fn several(&self, first: String, value: i64, keys: usize, chance: &Chance) -> Command {
        let second = key_name(chance.below(keys));
        let op = if chance.one_in(2) {
            Op::Set(value)
        } else {
            Op::Get
        };
        let mut parts = vec![(first, op)];
        if second != parts[0].0 {
            parts.push((second, op));
        }
        let mut words = vec![if op == Op::Get { "MGET" } else { "MSET" }.to_owned()];
        for (key, op) in &parts {
            words.push(key.clone());
            if let Op::Set(value) = op {
                words.push(value.to_string());
            }
        }
        Command { words, parts }
    }

    async fn send(&mut self, commands: Vec<Command>) -> Result<(), DrillError> {
        let mut plan = Plan::new(self.services.shards.len());
        let mut parser = Parser::new(1 << 20);
        let mut calls = Vec::new();
        for command in &commands {
            let mut bytes = Vec::new();
            reply::bulks(&mut bytes, command.words.iter().map(String::as_bytes));
            assert_eq!(parser.parse(&bytes), Ok(Some(bytes.len())), "one request");
            let args = parser.args(&bytes);
            let spec = command::resolve(args).expect("a command");
            plan.request(spec, args, &self.services);
            let open = |(key, op): &(String, Op)| self.crew.history.call(self.number, key, *op);
            calls.push(command.parts.iter().map(open).collect::<Vec<OpenCall>>());
        }
        let (mut out, mut inbox) = (Vec::new(), Inbox(Vec::new()));
        let sent = plan.run(&self.services, &mut out, &mut inbox).await;
        sent.expect("memory takes all");
        inbox.0.append(&mut out);
        let mut replies = inbox.0.as_slice();
        for (command, calls) in commands.iter().zip(calls) {
            let answers = Answer::read(&mut replies).map(|answer| answer.parts(calls.len()));
            let answers = answers.ok_or_else(|| self.nonsense(command, "cut short"))?;
            for ((call, (_, op)), answer) in calls.into_iter().zip(&command.parts).zip(answers) {
                match answer.means(*op) {
                    Ok(Meaning::Reply(reply)) => self.crew.history.reply(call, reply),
                    // Of an `MSET`, the other part may have been done.
                    Ok(Meaning::NotDone) if command.parts.len() == 1 => {
                        self.crew.history.strike(call);
                    }
                    // A read that was not answered tells nothing.
                    Ok(Meaning::Unknown) if *op == Op::Get => self.crew.history.strike(call),
                    Ok(Meaning::NotDone | Meaning::Unknown) => drop(call),
                    Err(text) => return Err(self.nonsense(command, &text)),
                }
            }
        }
        Ok(())
    }

    fn nonsense(&self, command: &Command, reply: &str) -> DrillError {
        let (number, words) = (self.number, command.words.join(" "));
        DrillError::Reply(format!("client {number}: {words} -> {reply}"))
    }
}

fn key_name(key: usize) -> String {
    format!("k{key}")
}

fn one_key(key: &str, op: Op) -> (Vec<String>, (String, Op)) {
    let line = match op {
        Op::Get => format!("GET {key}"),
        Op::Set(value) => format!("SET {key} {value}"),
        Op::Swap(value) => format!("SET {key} {value} GET"),
        Op::SetIfMissing(value) => format!("SET {key} {value} NX"),
        Op::SetIfPresent(value) => format!("SET {key} {value} XX"),
        Op::Add(by) => format!("INCRBY {key} {by}"),
        Op::Del => format!("DEL {key}"),
        Op::Cas { .. } => unreachable!("kvd has no such command"),
    };
    let words = line.split(' ').map(str::to_owned).collect();
    (words, (key.to_owned(), op))
}

/// A reply as it came.
#[derive(Clone, Debug)]
enum Answer {
    Simple,
    Error(String),
    Number(i64),
    Bulk(Option<String>),
    Array(Vec<Answer>),
}

/// What a reply tells of an operation.
enum Meaning {
    Reply(Reply),
    NotDone,
    /// It may have been done, may be done later, or never.
    Unknown,
}

impl Answer {
    /// Takes one reply off the front.
    fn read(bytes: &mut &[u8]) -> Option<Self> {
        let line = take_line(bytes)?;
        let (kind, rest) = line.split_at_checked(1)?;
        let number = parse_i64(rest.as_bytes());
        Some(match kind {
            "+" => Self::Simple,
            "-" => Self::Error(rest.to_owned()),
            ":" => Self::Number(number?),
            "$" if number == Some(-1) => Self::Bulk(None),
            "$" => Self::Bulk(Some(take_line(bytes)?)),
            "*" => Self::Array(
                (0..number?)
                    .map(|_| Self::read(bytes))
                    .collect::<Option<_>>()?,
            ),
            _ => return None,
        })
    }

    /// One for each part of a command.
    fn parts(self, n: usize) -> Vec<Self> {
        match self {
            Self::Array(parts) => parts,
            whole => vec![whole; n],
        }
    }

    /// What it tells of an operation.
    fn means(&self, op: Op) -> Result<Meaning, String> {
        let reply = match (op, self) {
            (_, Self::Error(text)) if text.starts_with("MISCONF ") => {
                return Ok(match text.ends_with("; not done") {
                    true => Meaning::NotDone,
                    false => Meaning::Unknown,
                });
            }
            (_, Self::Error(text)) if text.starts_with("ERR shard ") => {
                return Ok(Meaning::Unknown);
            }
            (Op::Get | Op::Swap(_), Self::Bulk(value)) => {
                let number = value
                    .as_ref()
                    .map(|v| parse_i64(v.as_bytes()).ok_or(v.clone()));
                Reply::Value(number.transpose()?)
            }
            (Op::Set(_), Self::Simple) => Reply::Ok,
            (Op::SetIfMissing(_) | Op::SetIfPresent(_), Self::Simple) => Reply::Done(true),
            (Op::SetIfMissing(_) | Op::SetIfPresent(_), Self::Bulk(None)) => Reply::Done(false),
            (Op::Add(_), Self::Number(sum)) => Reply::Sum(*sum),
            (Op::Del, Self::Number(removed @ 0..=1)) => Reply::Done(*removed == 1),
            _ => return Err(format!("{self:?}")),
        };
        Ok(Meaning::Reply(reply))
    }
}

fn take_line(bytes: &mut &[u8]) -> Option<String> {
    let end = memchr::memmem::find(bytes, b"\r\n")?;
    let line = String::from_utf8(bytes[..end].to_vec()).ok()?;
    *bytes = &bytes[end + 2..];
    Some(line)
}
