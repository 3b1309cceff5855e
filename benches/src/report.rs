//! Medians, markdown tables and the JSON rows of `versus`.

use serde_json::{Value, json};

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

/// One peer's samples of one work.
#[derive(Debug)]
pub struct Cell {
    /// The work's name.
    pub work: String,
    /// The peer's name.
    pub peer: &'static str,
    /// `"ns"`, `"bytes"` or `"ms"`.
    pub unit: &'static str,
    /// One figure per round; empty when the peer has no such work.
    pub samples: Vec<f64>,
    /// What a reader must know about it.
    pub note: String,
}

impl Cell {
    /// The JSON row, or none when the peer has no such work.
    pub fn json(&self) -> Option<Value> {
        if self.samples.is_empty() {
            return None;
        }
        let mut note = format!(
            "median of {}, {} to {}",
            self.samples.len(),
            figure(self.samples.iter().copied().fold(f64::INFINITY, f64::min)),
            figure(
                self.samples
                    .iter()
                    .copied()
                    .fold(f64::NEG_INFINITY, f64::max)
            ),
        );
        if !self.note.is_empty() {
            note = format!("{note}; {}", self.note);
        }
        let middle = (median(&self.samples) * 1000.0).round() / 1000.0;
        Some(json!({ "work": self.work, "peer": self.peer, self.unit: middle, "note": note }))
    }
}

/// The markdown table of these cells: a row per work, a column per peer, then the others' figures
/// divided by ours (above 1 we are ahead).
pub fn table(cells: &[Cell], peers: &[&'static str]) -> String {
    let ours = peers[0];
    let mut out = String::from("| work |");
    for peer in peers {
        out += &format!(" {peer} |");
    }
    for peer in &peers[1..] {
        out += &format!(" {peer} / {ours} |");
    }
    out += "\n|---|";
    out += &"---:|".repeat(peers.len() * 2 - 1);
    out.push('\n');

    let mut works: Vec<(&str, &str)> = Vec::new();
    for cell in cells {
        if !works.contains(&(cell.work.as_str(), cell.unit)) {
            works.push((&cell.work, cell.unit));
        }
    }
    for (work, unit) in works {
        let middle = |peer: &str| {
            cells
                .iter()
                .find(|c| c.work == work && c.unit == unit && c.peer == peer)
                .filter(|c| !c.samples.is_empty())
                .map(|c| median(&c.samples))
        };
        out += &format!("| {work}, {unit} |");
        for peer in peers {
            out += &middle(peer).map_or("– |".into(), |m| format!(" {} |", figure(m)));
        }
        for peer in &peers[1..] {
            let ratio = middle(peer)
                .zip(middle(ours))
                .filter(|(_, ours)| *ours > 0.0);
            out += &ratio.map_or("– |".into(), |(m, ours)| format!(" {:.2} |", m / ours));
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

    fn cell(peer: &'static str, samples: &[f64]) -> Cell {
        let samples = samples.to_vec();
        Cell {
            work: "ask".into(),
            peer,
            unit: "ns",
            samples,
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
        let cells = [cell("ours", &[200.0]), cell("theirs", &[100.0])];
        let table = table(&cells, &["ours", "theirs"]);
        assert!(
            table.contains("| ask, ns | 200.0 | 100.0 | 0.50 |"),
            "{table}"
        );
    }

    #[test]
    fn a_work_that_a_peer_lacks_is_a_dash_and_no_json_row() {
        let cells = [cell("ours", &[200.0]), cell("theirs", &[])];
        assert!(table(&cells, &["ours", "theirs"]).contains("| 200.0 |– |– |"));
        assert!(cells[1].json().is_none());
        assert_eq!(cells[0].json().expect("a row")["ns"], 200.0);
    }

    #[test]
    fn thousands_are_set_apart() {
        assert_eq!(figure(1_234_567.0), "1 234 567");
        assert_eq!(figure(999.96), "1000.0");
        assert_eq!(figure(-1_234.0), "-1 234");
    }
}
