//! What whoever watches is shown: a line for each thing that happens, and how far it is.

use std::fmt::Display;
use std::io::{IsTerminal as _, Write as _, stdout};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Tells on a terminal above a bar, elsewhere in plain lines.
pub(super) struct Teller {
    bar: Option<ProgressBar>,
}

impl Teller {
    pub(super) fn new(length: usize, played: usize) -> Self {
        let bar = stdout().is_terminal().then(|| {
            let length = u64::try_from(length).unwrap_or(u64::MAX);
            let bar = ProgressBar::with_draw_target(Some(length), ProgressDrawTarget::stdout());
            bar.set_position(u64::try_from(played).unwrap_or(0));
            if let Ok(style) = ProgressStyle::with_template("  {bar:50} {pos}/{len}") {
                bar.set_style(style);
            }
            bar
        });
        Self { bar }
    }

    pub(super) fn tell(&self, text: impl Display) {
        match &self.bar {
            Some(bar) => bar.println(format!("  {text}")),
            None => print(format_args!("  {text}")),
        }
    }

    pub(super) fn step(&self) {
        if let Some(bar) = &self.bar {
            bar.inc(1);
        }
    }
}

impl Drop for Teller {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// One line. Whoever reads no more of it does not end us: a house may run in this process.
pub(super) fn print(text: impl Display) {
    writeln!(stdout(), "{text}").ok();
}
