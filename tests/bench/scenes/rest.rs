//! Start and memory: until `/readyz` says yes, and what frontdesk and its nats-server hold before any load.

use std::path::Path;

use crate::figures::{Figure, Report, Target};
use crate::machine::rss_mib;
use crate::product::{Product, Setup};

/// What was seen before any load.
pub(crate) struct Rest {
    start_s: Vec<f64>,
    mib: Vec<f64>,
}

/// Starts `frontdesk up` in an empty folder, and once more on what that left.
pub(crate) async fn measure(program: &Path, folder: &Path, rounds: usize) -> anyhow::Result<Rest> {
    let mut rest = Rest { start_s: Vec::new(), mib: Vec::new() };
    for round in 0..rounds {
        let setup = Setup {
            program,
            folder: folder.join(format!("start-{}", round / 2)),
            store_url: String::new(),
            nats_url: String::new(),
            sources: String::new(),
        };
        let desk = Product::start(&setup).await?;
        rest.start_s.push(desk.start_s);
        rest.mib.push(rss_mib(&desk.pids()));
        desk.stop()?;
    }
    Ok(rest)
}

pub(crate) fn show(report: &Report, rest: Rest, loaded_mib: f64, restart_s: f64) {
    report.heading("Start and memory of `frontdesk up` with its nats-server");
    report.figure(&Figure::ours("start until ready, SQLite", "s", rest.start_s, Target::AtMost(2.0)));
    report.figure(&Figure::ours(
        "start until ready, on all that was recorded",
        "s",
        vec![restart_s],
        Target::AtMost(2.0),
    ));
    report.figure(&Figure::ours("memory at rest", "MiB", rest.mib, Target::AtMost(150.0)));
    report.figure(&Figure::ours(
        "memory under load, at most",
        "MiB",
        vec![loaded_mib],
        Target::AtMost(500.0),
    ));
}
