//! Counts of instructions against a baseline: reading callgrind's files and ours, and the verdict.

use std::fmt::Write as _;

/// By how much the count of a guarded work may grow.
pub const GROWTH_MAX: f64 = 0.05;

/// One work's counts, instructions per operation, one for each run.
#[derive(Debug)]
pub struct Counts {
    /// What the tables call it.
    pub name: &'static str,
    /// Whether its growth fails the build.
    pub guarded: bool,
    /// One per run.
    pub runs: Vec<f64>,
}

impl Counts {
    /// The least of the runs: what disturbs a run only adds.
    pub fn least(&self) -> f64 {
        self.runs.iter().copied().fold(f64::INFINITY, f64::min)
    }

    /// How far the runs lie apart, as a part of the least.
    pub fn spread(&self) -> f64 {
        let most = self.runs.iter().copied().fold(0.0, f64::max);
        most / self.least() - 1.0
    }
}

/// The sum of all counted instructions in one of callgrind's files.
pub fn total(dump: &str) -> Option<u64> {
    let line = dump.lines().find_map(|line| line.strip_prefix("totals:"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// A baseline's count of this work, if it has one.
pub fn baseline_of(text: &str, name: &str) -> Option<f64> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .filter_map(|line| line.trim().split_once("  "))
        .find(|(_, other)| other.trim() == name)
        .and_then(|(count, _)| count.parse().ok())
}

/// A baseline of these counts; `head` says how it came to be.
pub fn baseline(head: &[&str], counts: &[Counts]) -> String {
    let mut text = String::new();
    for line in head {
        let _ = writeln!(text, "# {line}");
    }
    for work in counts {
        let _ = writeln!(text, "{:9.1}  {}", work.least(), work.name);
    }
    text
}

/// The table of these counts beside the baseline's, and what is wrong with the guarded ones.
pub fn compare(counts: &[Counts], baseline: &str) -> (String, Vec<String>) {
    let mut table = String::from(
        "| instructions per operation | now | spread | baseline | change | |\n\
         |---|---:|---:|---:|---:|---|\n",
    );
    let mut faults = Vec::new();
    for work in counts {
        let least = work.least();
        let spread = 100.0 * work.spread();
        let _ = write!(table, "| {} | {least:.1} | {spread:.2}% |", work.name);
        let Some(was) = baseline_of(baseline, work.name) else {
            table += " – | – | new |\n";
            if work.guarded {
                faults.push(format!("{}: not in the baseline", work.name));
            }
            continue;
        };
        let change = least / was - 1.0;
        let verdict = match (change > GROWTH_MAX, work.guarded) {
            (true, true) => "grown",
            (true, false) => "grown, not guarded",
            _ if change < -GROWTH_MAX => "less: renew the baseline",
            _ => "",
        };
        if work.guarded && change > GROWTH_MAX {
            let (grown, most) = (100.0 * change, 100.0 * GROWTH_MAX);
            faults.push(format!(
                "{}: {least:.1} instead of {was:.1} instructions, {grown:.1}% more; {most}% may be",
                work.name
            ));
        }
        let change = 100.0 * change;
        let _ = writeln!(table, " {was:.1} | {change:+.1}% | {verdict} |");
    }
    (table, faults)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(name: &'static str, guarded: bool, runs: &[f64]) -> Counts {
        let runs = runs.to_vec();
        Counts {
            name,
            guarded,
            runs,
        }
    }

    const BASELINE: &str = "# rustc\n   1000.0  ask\n    200.0  tell, 1 producer\n";

    #[test]
    fn growth_beyond_the_limit_is_a_fault_of_guarded_works_only() {
        let grown = [1_051.0, 1_200.0];
        assert_eq!(compare(&[counts("ask", true, &grown)], BASELINE).1.len(), 1);
        assert_eq!(
            compare(&[counts("ask", false, &grown)], BASELINE).1.len(),
            0
        );
        let within = [1_049.0, 1_200.0];
        assert_eq!(
            compare(&[counts("ask", true, &within)], BASELINE).1.len(),
            0
        );
    }

    #[test]
    fn a_guarded_work_without_a_baseline_is_a_fault() {
        let (table, faults) = compare(&[counts("spawn", true, &[1.0])], BASELINE);
        assert_eq!(faults, ["spawn: not in the baseline"]);
        assert!(table.contains("| spawn | 1.0 | 0.00% | – | – | new |"));
    }

    #[test]
    fn a_renewed_baseline_has_no_faults() {
        let works = [
            counts("tell, 1 producer", true, &[300.04, 310.0]),
            counts("ask", true, &[7_000.0]),
        ];
        let renewed = baseline(&["head"], &works);
        assert_eq!(compare(&works, &renewed).1, [""; 0]);
        assert_eq!(baseline_of(&renewed, "tell, 1 producer"), Some(300.0));
        assert_eq!(
            baseline_of(&renewed, "tell"),
            None,
            "no part of a name will do"
        );
    }

    #[test]
    fn the_total_of_a_dump_is_found() {
        let dump = "events: Ir\nsummary: 1\n\nfn=(1) x\n1 7\n\ntotals: 4860495 12\n";
        assert_eq!(total(dump), Some(4_860_495));
        assert_eq!(total("events: Ir\n"), None);
    }
}
