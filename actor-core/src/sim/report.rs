//! What a failed check says.

use std::fmt;
use std::time::Duration;

/// What sort of failure a simulation has found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FailureKind {
    /// The test panicked, or a goroutine whose handle was dropped.
    Panicked,
    /// The test returned an error.
    Returned,
    /// A condition of `always!` was false.
    Property,
    /// Everything waits, and nothing is left that could wake the test.
    Deadlock,
    /// Goroutines were left when the test was over.
    Leak,
    /// A message became a dead letter, and the check says that none may.
    DeadLetter,
    /// Too many steps: something goes round and round.
    Endless,
    /// The code does what can't be simulated.
    Refused,
    /// The same choices led to something else the second time.
    NotDeterministic,
    /// A condition of `sometimes!` was true in no seed.
    NeverReached,
    /// The environment variable `ACTOR_SIM` can't be read.
    BadTrace,
}

impl fmt::Display for FailureKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Panicked => "a panic",
            Self::Returned => "the test failed",
            Self::Property => "a property was violated",
            Self::Deadlock => "all goroutines are asleep - deadlock",
            Self::Leak => "goroutines were left when the test was over",
            Self::DeadLetter => "a message became a dead letter",
            Self::Endless => "it does not end",
            Self::Refused => "the code left the simulation",
            Self::NotDeterministic => "the same seed led to something else the second time",
            Self::NeverReached => "something that is to happen sometimes never did",
            Self::BadTrace => "the environment variable ACTOR_SIM can't be read",
        })
    }
}

/// Why a check failed, and how to see it again. Its `Display` is the report.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Failure {
    /// What sort it is.
    pub kind: FailureKind,
    /// What went wrong, in words: the panic's text and place, the deadlock's report.
    pub message: String,
    /// The seed that found it; `None` if no single one did.
    pub seed: Option<u64>,
    /// How many seeds were tried until then, this one included.
    pub tried: u64,
    /// Steps of the run that found it, and of the shortest one that fails in the same way.
    pub steps: (u64, u64),
    /// The choices of the shortest one, for `ACTOR_SIM`.
    pub trace: String,
    pub(super) test: String,
    pub(super) policy: String,
    pub(super) lines: Vec<String>,
    pub(super) left_out: usize,
    pub(super) command: Option<String>,
    pub(super) elapsed: Duration,
}

impl Failure {
    /// The steps of the shortest run, one a line: `*` before those that were not the plainest choice.
    #[must_use]
    pub fn shortest(&self) -> &[String] {
        &self.lines
    }

    /// The command that runs it again, if the test's name is known.
    #[must_use]
    pub fn command(&self) -> Option<&str> {
        self.command.as_deref()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "simulation of {}: {}", self.test, self.kind)?;
        if let Some(seed) = self.seed {
            write!(f, "\nseed {seed}, {} ({} tried)", self.policy, self.tried)?;
        }
        write!(f, "\n\n{}\n", self.message.trim_end())?;
        if !self.lines.is_empty() {
            let (found, shortest) = self.steps;
            writeln!(
                f,
                "\nthe shortest run that fails so: {shortest} steps (found with {found}), {:?} of \
                 simulated time; `*`: not the plainest choice",
                self.elapsed
            )?;
            if self.left_out > 0 {
                writeln!(f, "  .. {} lines before", self.left_out)?;
            }
            for line in &self.lines {
                writeln!(f, "{line}")?;
            }
        }
        if let Some(command) = &self.command {
            write!(f, "\nrun it again:\n    {command}\n")?;
        }
        Ok(())
    }
}

impl std::error::Error for Failure {}
