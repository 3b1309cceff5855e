//! The choices of one run: made by a policy or taken from a trace, and written down.
//!
//! Everything that a run leaves to chance comes through here as "one of `n`", so a run is its list of
//! numbers: replaying it, and shrinking it (`shrink.rs`), is a matter of lists. 0 is always the
//! plainest choice: the goroutine that has waited longest, no fault. A list that is too short goes on
//! with zeros, and a number that is too large is taken modulo `n`: every list is a run.

use std::fmt::Write;

use super::policy::{Ask, Policy};

/// Where the answers come from.
pub(super) enum Source {
    Policy(Box<dyn Policy>),
    Trace(Vec<u32>),
}

pub(super) struct Choices {
    source: Source,
    made: Vec<u32>,
}

impl Choices {
    pub(super) fn new(source: Source) -> Self {
        Self {
            source,
            made: Vec::new(),
        }
    }

    pub(super) fn choose(&mut self, ask: &Ask<'_>) -> u32 {
        let n = ask.count();
        let chosen = match &mut self.source {
            Source::Policy(policy) => policy.choose(ask).min(n - 1),
            Source::Trace(trace) => trace.get(self.made.len()).map_or(0, |chosen| chosen % n),
        };
        self.made.push(chosen);
        chosen
    }

    pub(super) fn into_parts(self) -> (Source, Vec<u32>) {
        (self.source, self.made)
    }
}

/// Writes a trace as one word: numbers in hex, `-` between, runs of zeros as `z<count>`; zeros at the
/// end are left out.
pub(super) fn encode(trace: &[u32]) -> String {
    let len = trace.len() - trace.iter().rev().take_while(|c| **c == 0).count();
    let mut out = String::new();
    let mut at = 0;
    while at < len {
        let zeros = trace[at..len].iter().take_while(|c| **c == 0).count();
        if !out.is_empty() {
            out.push('-');
        }
        if zeros > 1 {
            let _ = write!(out, "z{zeros}");
            at += zeros;
        } else {
            let _ = write!(out, "{:x}", trace[at]);
            at += 1;
        }
    }
    if out.is_empty() {
        out.push('0');
    }
    out
}

/// Reads what [`encode`] wrote.
pub(super) fn decode(text: &str) -> Result<Vec<u32>, String> {
    const ZEROS_MAX: usize = 100_000_000;
    let mut trace = Vec::new();
    for word in text.trim().split('-') {
        if let Some(count) = word.strip_prefix('z') {
            let count: usize = count.parse().map_err(|_| bad(word))?;
            if count > ZEROS_MAX {
                return Err(bad(word));
            }
            trace.resize(trace.len() + count, 0);
        } else {
            trace.push(u32::from_str_radix(word, 16).map_err(|_| bad(word))?);
        }
    }
    Ok(trace)
}

fn bad(word: &str) -> String {
    format!("a trace has numbers in hex and `z<count>` between `-`, but here is {word:?}")
}

#[cfg(test)]
mod tests {
    use super::{decode, encode};

    #[test]
    fn a_trace_survives_being_written_and_read() {
        let traces: [&[u32]; 5] = [
            &[],
            &[0, 0, 0],
            &[1],
            &[0, 5, 0, 0, 0, 255, 0, 0, u32::MAX],
            &[3, 0, 7],
        ];
        for trace in traces {
            let mut read = decode(&encode(trace)).unwrap();
            read.resize(trace.len(), 0);
            assert_eq!(read, trace, "{}", encode(trace));
        }
        assert_eq!(encode(&[0, 5, 0, 0, 0, 255, 0, 0]), "0-5-z3-ff");
    }

    #[test]
    fn a_trace_that_is_none_says_where() {
        assert!(decode("1-zz").unwrap_err().contains("\"zz\""));
        assert!(decode("").is_err());
        assert!(decode("z999999999999").is_err());
    }
}
