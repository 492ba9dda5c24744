//! Figures: a hand-made value, ours, their ratio, and the target it is held against. Nothing is asserted;
//! a machine may be busy, and then both halves of a ratio suffer.

use std::cell::RefCell;

use serde_json::json;

/// What a figure is held against.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Target {
    /// Ours is at least this part of the hand-made one.
    Part(f64),
    /// Ours is at most so many times the hand-made one.
    Times(f64),
    /// Ours is at most this much, whatever the hand-made one is.
    AtMost(f64),
    /// Ours is at least this much, whatever the hand-made one is.
    AtLeast(f64),
    /// Shown for the reader.
    None,
}

/// One line of the table.
#[derive(Clone, Debug)]
pub(crate) struct Figure {
    pub(crate) name: String,
    pub(crate) unit: &'static str,
    /// One value a round; empty when there is nothing to compare with.
    pub(crate) by_hand: Vec<f64>,
    pub(crate) ours: Vec<f64>,
    pub(crate) target: Target,
}

impl Figure {
    pub(crate) fn new(
        name: impl Into<String>,
        unit: &'static str,
        by_hand: Vec<f64>,
        ours: Vec<f64>,
        target: Target,
    ) -> Self {
        Self { name: name.into(), unit, by_hand, ours, target }
    }

    /// A value of ours alone.
    pub(crate) fn ours(name: impl Into<String>, unit: &'static str, ours: Vec<f64>, target: Target) -> Self {
        Self::new(name, unit, Vec::new(), ours, target)
    }

    /// The median of the ratios of each round: both halves of one ratio met the same noise.
    fn ratio(&self) -> Option<f64> {
        let ratios: Vec<f64> = self
            .ours
            .iter()
            .zip(&self.by_hand)
            .filter(|(_, by_hand)| **by_hand > 0.0)
            .map(|(o, h)| o / h)
            .collect();
        median(&ratios)
    }

    fn reached(&self) -> Option<bool> {
        match self.target {
            Target::Part(least) => self.ratio().map(|ratio| ratio >= least),
            Target::Times(most) => self.ratio().map(|ratio| ratio <= most),
            Target::AtMost(most) => median(&self.ours).map(|ours| ours <= most),
            Target::AtLeast(least) => median(&self.ours).map(|ours| ours >= least),
            Target::None => None,
        }
    }

    fn target(&self) -> String {
        match self.target {
            Target::Part(least) => format!(">= {least} x"),
            Target::Times(most) => format!("<= {most} x"),
            Target::AtMost(most) => format!("<= {most} {}", self.unit),
            Target::AtLeast(least) => format!(">= {least}"),
            Target::None => String::new(),
        }
    }
}

/// All figures of a run, printed as they come: as a table for a person or as JSON lines.
pub(crate) struct Report {
    json: bool,
    /// What the figures are about until the next title.
    about: RefCell<String>,
}

impl Report {
    pub(crate) fn new(json: bool) -> Self {
        Self { json, about: RefCell::default() }
    }

    pub(crate) fn heading(&self, text: &str) {
        if self.json {
            say(&json!({ "heading": text }).to_string());
        } else {
            say(&format!(
                "\n{text}\n{:<58}{:>12}{:>12}{:>8}  {:<12}",
                "", "hand-made", "frontdesk", "ratio", "target"
            ));
        }
    }

    pub(crate) fn figure(&self, figure: &Figure) {
        let (by_hand, ours, ratio) = (median(&figure.by_hand), median(&figure.ours), figure.ratio());
        if self.json {
            let line = json!({
                "about": *self.about.borrow(), "figure": figure.name, "unit": figure.unit,
                "hand_made": by_hand, "frontdesk": ours, "ratio": ratio,
                "target": figure.target(), "reached": figure.reached(),
                "hand_made_rounds": figure.by_hand, "frontdesk_rounds": figure.ours,
            });
            return say(&line.to_string());
        }
        let verdict = match figure.reached() {
            Some(true) => "pass",
            Some(false) => "BELOW",
            None => "",
        };
        let ratio = ratio.map(|ratio| format!("{ratio:.2}")).unwrap_or_default();
        let label = format!("{}, {}", figure.name, figure.unit);
        say(&format!(
            "{label:<58}{:>12}{:>12}{ratio:>8}  {:<12}{verdict}",
            readable(by_hand),
            readable(ours),
            figure.target()
        ));
    }

    pub(crate) fn title(&self, text: &str) {
        text.clone_into(&mut self.about.borrow_mut());
        if !self.json {
            say(&format!("\n== {text}"));
        } else {
            say(&json!({ "title": text }).to_string());
        }
    }

    /// For whoever waits; not part of the result.
    #[expect(clippy::print_stderr, reason = "the result goes to standard output")]
    pub(crate) fn progress(&self, text: &str) {
        eprintln!("  ... {text}");
    }

    pub(crate) fn note(&self, text: &str) {
        say(&if self.json { json!({ "note": text }).to_string() } else { format!("  {text}") });
    }
}

#[expect(clippy::print_stdout, reason = "the table is what this program is for")]
fn say(line: &str) {
    println!("{line}");
}

fn readable(value: Option<f64>) -> String {
    match value {
        None => String::new(),
        Some(value) if value >= 1000.0 => {
            let digits = format!("{value:.0}");
            let mut text = String::new();
            for (place, digit) in digits.chars().enumerate() {
                if place > 0 && (digits.len() - place).is_multiple_of(3) {
                    text.push(',');
                }
                text.push(digit);
            }
            text
        }
        Some(value) if value >= 100.0 => format!("{value:.0}"),
        Some(value) if value >= 10.0 => format!("{value:.1}"),
        Some(value) => format!("{value:.2}"),
    }
}

/// The middle value; of two the lower.
pub(crate) fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len().saturating_sub(1) / 2).copied()
}

/// The value below which this part of them lies, in milliseconds; 0 of none.
pub(crate) fn percentile_ms(micros: &[u32], part: f64) -> f64 {
    let mut sorted = micros.to_vec();
    sorted.sort_unstable();
    let place = (sorted.len().saturating_sub(1) as f64 * part).round() as usize;
    sorted.get(place).map_or(0.0, |value| f64::from(*value) / 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_taken_within_its_round() {
        let figure =
            Figure::new("x", "per s", vec![10.0, 100.0, 20.0], vec![5.0, 50.0, 20.0], Target::Part(0.5));
        assert_eq!((figure.ratio(), figure.reached()), (Some(0.5), Some(true)));
        let slow = Figure::new("x", "ms", vec![1.0], vec![4.0], Target::Times(3.0));
        assert_eq!(slow.reached(), Some(false));
        let enough = |ours| Figure::ours("x", "per s", vec![ours], Target::AtLeast(850.0)).reached();
        assert_eq!((enough(851.0), enough(849.0)), (Some(true), Some(false)));
    }

    #[test]
    fn percentiles_and_large_numbers_read_well() {
        let lat: Vec<u32> = (1..=1000).rev().map(|n| n * 1000).collect();
        assert_eq!((percentile_ms(&lat, 0.5), percentile_ms(&lat, 0.99)), (501.0, 990.0));
        assert_eq!(percentile_ms(&[], 0.5), 0.0);
        assert_eq!(readable(Some(1_234_567.0)), "1,234,567");
    }
}
