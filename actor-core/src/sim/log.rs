//! What happened in one run: the steps, in their order, and a hash of them.

use std::collections::HashMap;
use std::fmt::Write;
use std::sync::Arc;

use crate::sched::Instant;
use crate::sched::simulated::START;

/// One thing that happened.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Event {
    /// A goroutine was polled; it was chosen out of so many.
    Ran { who: u64, out_of: u32, chosen: u32 },
    /// The clock moved.
    Clock(Instant),
    /// In this step a message went to its handler.
    Message {
        actor: Arc<str>,
        message: &'static str,
    },
    /// Anything else.
    Note(String),
}

/// More events than this are counted and hashed, but not kept.
const KEPT_MAX: usize = 2_000_000;

#[derive(Debug)]
pub(super) struct Log {
    events: Vec<Event>,
    names: HashMap<u64, Arc<str>>,
    hash: u64,
    pub(super) steps: u64,
}

impl Log {
    pub(super) fn new() -> Self {
        Self {
            events: Vec::new(),
            names: HashMap::new(),
            hash: 0,
            steps: 0,
        }
    }

    fn mix(&mut self, value: u64) {
        self.hash = (self.hash.rotate_left(5) ^ value).wrapping_mul(0x517c_c1b7_2722_0a95);
    }

    fn mix_text(&mut self, text: &str) {
        for byte in text.bytes() {
            self.mix(u64::from(byte));
        }
    }

    fn keep(&mut self, event: Event) {
        if self.events.len() < KEPT_MAX {
            self.events.push(event);
        }
    }

    #[inline]
    pub(super) fn ran(
        &mut self,
        who: u64,
        out_of: u32,
        chosen: u32,
        name: impl FnOnce() -> String,
    ) {
        self.steps += 1;
        self.mix(who << 32 | u64::from(out_of));
        self.names.entry(who).or_insert_with(|| name().into());
        self.keep(Event::Ran {
            who,
            out_of,
            chosen,
        });
    }

    pub(super) fn clock(&mut self, to: Instant) {
        self.mix(to.nanos());
        self.keep(Event::Clock(to));
    }

    /// A message goes to the handler of the goroutine `who`, which is called as its actor from now on.
    pub(super) fn message(&mut self, who: u64, actor: Arc<str>, message: &'static str) {
        let known = self.names.entry(who).or_insert_with(|| actor.clone());
        if !Arc::ptr_eq(known, &actor) {
            *known = actor.clone();
        }
        self.mix_text(&actor);
        self.mix_text(message);
        self.keep(Event::Message { actor, message });
    }

    pub(super) fn note(&mut self, text: String) {
        self.mix_text(&text);
        self.keep(Event::Note(text));
    }

    /// The same for two runs in which the same happened.
    pub(super) fn hash(&self) -> u64 {
        self.hash
    }

    pub(super) fn name(&self, who: u64) -> &str {
        self.names.get(&who).map_or("?", |name| name)
    }

    /// The first thing in which two runs differ, as both tell it.
    pub(super) fn first_difference(&self, other: &Self) -> Option<(usize, String, String)> {
        let longest = self.events.len().max(other.events.len());
        (0..longest).find_map(|at| {
            let (one, two) = (self.events.get(at), other.events.get(at));
            (one != two || self.name_at(at) != other.name_at(at))
                .then(|| (at, self.told(one), other.told(two)))
        })
    }

    fn name_at(&self, at: usize) -> Option<&str> {
        match self.events.get(at)? {
            Event::Ran { who, .. } => Some(self.name(*who)),
            _ => None,
        }
    }

    fn told(&self, event: Option<&Event>) -> String {
        match event {
            None => "nothing more".to_owned(),
            Some(Event::Ran { who, out_of, .. }) => format!(
                "goroutine {who} ({}) runs, one of {out_of} that are ready",
                self.name(*who)
            ),
            Some(Event::Clock(to)) => format!("the clock moves to {:?}", *to - START),
            Some(Event::Message { actor, message }) => format!("\"{actor}\" handles `{message}`"),
            Some(Event::Note(text)) => text.clone(),
        }
    }

    /// The steps as lines of text, at most the last `most` of them, and how many were left out.
    pub(super) fn lines(&self, most: usize) -> (Vec<String>, usize) {
        let mut lines: Vec<String> = Vec::new();
        let mut now = START;
        // How many messages the step has handled whose line is the last one.
        let mut handled = None;
        for event in &self.events {
            match event {
                Event::Clock(to) => now = *to,
                Event::Ran {
                    who,
                    out_of,
                    chosen,
                } => {
                    handled = Some(0);
                    let at = (now - START).as_secs_f64();
                    let name = self.name(*who);
                    lines.push(match chosen {
                        0 => format!(" {at:>12.6}s  #{who} {name}"),
                        _ => format!("*{at:>12.6}s  #{who} {name} (not the first of {out_of})"),
                    });
                }
                Event::Message { actor, message } => match (&mut handled, lines.last_mut()) {
                    (Some(before), Some(line)) => {
                        let joint = if *before == 0 { ": handles" } else { "," };
                        *before += 1;
                        let _ = write!(line, "{joint} {message}");
                    }
                    _ => lines.push(format!("{:>16}\"{actor}\" handles {message}", "")),
                },
                Event::Note(text) => {
                    handled = None;
                    lines.push(format!("{:>16}{text}", ""));
                }
            }
        }
        let left_out = lines.len().saturating_sub(most);
        (lines.split_off(left_out), left_out)
    }
}
