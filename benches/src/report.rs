//! Medians, markdown tables and the JSON rows of `versus`.

use serde_json::{Value, json};

use crate::work::Group;

/// The middle of the samples; of an even number of them, the lower middle.
///
/// # Panics
///
/// When there are none.
pub fn median(samples: &[f64]) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[(sorted.len() - 1) / 2]
}

/// One contender's samples of one work.
#[derive(Debug)]
pub struct Cell {
    /// In which table it is.
    pub group: Group,
    /// The work's name.
    pub work: String,
    /// The contender's name.
    pub peer: String,
    /// `"ns"`, `"bytes"` or `"ms"`.
    pub unit: &'static str,
    /// One reading per round, at least one.
    pub samples: Vec<f64>,
    /// What a reader must know about it.
    pub note: String,
}

impl Cell {
    /// The JSON row.
    pub fn json(&self) -> Value {
        let least = self.samples.iter().copied().fold(f64::INFINITY, f64::min);
        let most = self
            .samples
            .iter()
            .copied()
            .fold(f64::NEG_INFINITY, f64::max);
        let mut note = format!(
            "median of {}, {} to {}",
            self.samples.len(),
            figure(least),
            figure(most)
        );
        if !self.note.is_empty() {
            note = format!("{note}; {}", self.note);
        }
        let middle = (median(&self.samples) * 1000.0).round() / 1000.0;
        json!({ "work": self.work, "peer": self.peer, self.unit: middle, "note": note })
    }
}

/// The markdown table of the cells of one group: a row per work, a column per contender; behind
/// another's figure how many times ours it is (above 1 we are ahead).
pub fn table(cells: &[Cell], group: Group, ours: &str) -> String {
    let cells: Vec<&Cell> = cells.iter().filter(|cell| cell.group == group).collect();
    let mut peers: Vec<&str> = Vec::new();
    let mut works: Vec<(&str, &str)> = Vec::new();
    for cell in &cells {
        if !peers.contains(&cell.peer.as_str()) {
            peers.push(&cell.peer);
        }
        if !works.contains(&(cell.work.as_str(), cell.unit)) {
            works.push((&cell.work, cell.unit));
        }
    }
    if cells.is_empty() {
        return String::new();
    }
    let mut out = format!(
        "| work | {} |\n|---|{}\n",
        peers.join(" | "),
        "---:|".repeat(peers.len())
    );
    for (work, unit) in works {
        let middle = |peer: &str| {
            let cell = cells
                .iter()
                .find(|c| c.work == work && c.unit == unit && c.peer == peer);
            cell.map(|cell| median(&cell.samples))
        };
        out += &format!("| {work}, {unit} |");
        for peer in &peers {
            out += &match (middle(peer), middle(ours)) {
                (None, _) => " – |".into(),
                (Some(theirs), Some(our)) if *peer != ours && our > 0.0 => {
                    format!(" {} ({:.2}) |", figure(theirs), theirs / our)
                }
                (Some(figure_alone), _) => format!(" {} |", figure(figure_alone)),
            };
        }
        out.push('\n');
    }
    out
}

/// A figure with as many places as it deserves, thousands apart.
pub fn figure(x: f64) -> String {
    if x.abs() < 10.0 {
        return format!("{x:.2}");
    }
    if x.abs() < 1000.0 {
        return format!("{x:.1}");
    }
    let digits = format!("{:.0}", x.abs());
    let mut out = String::from(if x < 0.0 { "-" } else { "" });
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i) % 3 == 0 {
            out.push(' ');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(work: &str, peer: &str, samples: &[f64]) -> Cell {
        Cell {
            group: Group::Actors,
            work: work.into(),
            peer: peer.into(),
            unit: "ns",
            samples: samples.to_vec(),
            note: String::new(),
        }
    }

    #[test]
    fn an_outlier_does_not_move_the_median() {
        assert_eq!(median(&[3.0, 1.0, 1_000.0, 2.0, 2.5]), 2.5);
        assert_eq!(median(&[4.0, 1.0]), 1.0);
    }

    #[test]
    fn a_loss_of_ours_shows_as_a_ratio_below_one() {
        let cells = [
            cell("ask", "ours", &[200.0]),
            cell("ask", "theirs", &[100.0]),
        ];
        let table = table(&cells, Group::Actors, "ours");
        assert!(
            table.contains("| ask, ns | 200.0 | 100.0 (0.50) |"),
            "{table}"
        );
    }

    #[test]
    fn a_work_that_a_contender_lacks_is_a_dash() {
        let cells = [
            cell("ask", "ours", &[200.0]),
            cell("tell", "theirs", &[100.0]),
        ];
        let table = table(&cells, Group::Actors, "ours");
        assert!(table.contains("| ask, ns | 200.0 | – |"), "{table}");
        assert!(table.contains("| tell, ns | – | 100.0 |"), "{table}");
    }

    #[test]
    fn a_row_says_the_spread() {
        let row = cell("ask", "ours", &[200.0, 100.0, 300.0]).json();
        assert_eq!(row["ns"], 200.0);
        assert_eq!(row["note"], "median of 3, 100.0 to 300.0");
    }

    #[test]
    fn thousands_are_set_apart() {
        assert_eq!(figure(1_234_567.0), "1 234 567");
        assert_eq!(figure(999.96), "1000.0");
        assert_eq!(figure(-1_234.0), "-1 234");
    }
}
