//! A supervision tree as it is at the moment, to be looked at or printed.

use std::{fmt, future::Future, pin::Pin};

use super::{ChildError, ChildInfo, ChildState, Strategy, SupervisorRef};

/// A supervisor with all that is below it; what [`SupervisorRef::tree`] returns.
///
/// Printed, it has one line per child: id, kind, strategy (of supervisors), health, restart type
/// unless permanent, the restarts so far, and how it ended the last time if it isn't up.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tree {
    /// The supervisor's name.
    pub name: String,
    /// Whom its restarts concern.
    pub strategy: Strategy,
    /// Its children in start order, with the tree of those that are supervisors and up.
    pub children: Vec<(ChildInfo, Option<Tree>)>,
}

type Growing = Pin<Box<dyn Future<Output = Result<Tree, ChildError>> + Send>>;

impl Tree {
    pub(super) fn of(supervisor: SupervisorRef) -> Growing {
        Box::pin(async move {
            let listing = supervisor.listing().await?;
            let mut children = Vec::with_capacity(listing.children.len());
            for (info, address) in listing.children {
                let below = match address {
                    Some(address) if info.state == ChildState::Running => {
                        // One that ends while it is asked has no tree to show.
                        Tree::of(SupervisorRef::new(address)).await.ok()
                    }
                    _ => None,
                };
                children.push((info, below));
            }
            Ok(Tree {
                name: supervisor.name().to_owned(),
                strategy: listing.strategy,
                children,
            })
        })
    }

    fn print_children(&self, f: &mut fmt::Formatter<'_>, indent: &str) -> fmt::Result {
        for (n, (info, below)) in self.children.iter().enumerate() {
            let last = n + 1 == self.children.len();
            let (branch, space) = if last {
                ("└─ ", "   ")
            } else {
                ("├─ ", "│  ")
            };
            write!(f, "{indent}{branch}{}: {}", info.id, info.kind)?;
            if let Some(below) = below {
                write!(f, ", {}", below.strategy)?;
            }
            write!(f, ", {}", info.health)?;
            print_rest(f, info)?;
            if let Some(below) = below {
                below.print_children(f, &format!("{indent}{space}"))?;
            }
        }
        Ok(())
    }
}

fn print_rest(f: &mut fmt::Formatter<'_>, info: &ChildInfo) -> fmt::Result {
    use super::Restart;
    match info.restart {
        Restart::Permanent => {}
        Restart::Transient => f.write_str(", transient")?,
        Restart::Temporary => f.write_str(", temporary")?,
    }
    if info.significant {
        f.write_str(", significant")?;
    }
    match info.restarts {
        0 => {}
        1 => f.write_str(", 1 restart")?,
        many => write!(f, ", {many} restarts")?,
    }
    match &info.last_exit {
        Some(reason) if info.state != ChildState::Running => writeln!(f, ", {reason}"),
        _ => f.write_str("\n"),
    }
}

impl fmt::Display for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: supervisor, {}", self.name, self.strategy)?;
        self.print_children(f, "")
    }
}
