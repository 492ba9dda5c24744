//! As many hooks as 64 connections can post: how many are accepted, and how fast they get onto the
//! timeline. In each round all lines get the same hooks, one line after the other, each beginning on a
//! disk that has nothing left to write.

use std::sync::Arc;

use anyhow::ensure;

use crate::figures::{Figure, Report, Target, percentile_ms};
use crate::hooks::PATH;
use crate::lab::Lab;
use crate::load::{Sent, flood};
use crate::machine::{cpu_s, settle};

/// What one line did in one round.
#[derive(Default)]
struct Line {
    accepted_per_s: Vec<f64>,
    p50_ms: Vec<f64>,
    p99_ms: Vec<f64>,
    recorded_per_s: Vec<f64>,
    /// CPU of each process a hook, in microseconds, until it is recorded.
    cpu_us: Vec<Vec<f64>>,
}

impl Line {
    fn accepted(&mut self, sent: &Sent) {
        self.accepted_per_s.push(sent.per_s());
        self.p50_ms.push(percentile_ms(&sent.latencies, 0.5));
        self.p99_ms.push(percentile_ms(&sent.latencies, 0.99));
    }

    fn costs(&mut self, before: &[f64], after: &[f64], hooks: usize) {
        self.cpu_us.push(after.iter().zip(before).map(|(a, b)| (a - b) * 1e6 / hooks as f64).collect());
    }

    fn cpu(&self, process: usize) -> Vec<f64> {
        self.cpu_us.iter().filter_map(|round| round.get(process).copied()).collect()
    }
}

pub(crate) async fn measure(lab: &mut Lab, report: &Report) -> anyhow::Result<()> {
    let (mut spool, mut broker, mut rows) = (Line::default(), Line::default(), Line::default());
    let (mut door, mut desk) = (Line::default(), Line::default());
    let mut refused = 0;
    for round in 0..lab.size.rounds {
        let batch = Arc::new(lab.pbx.batch(lab.size.hooks)?);
        let count = batch.hooks.len();

        settle().await?;
        let cpu = by_hand_cpu(lab);
        let sent = flood(lab.by_hand.addr, "/spool", &batch).await?;
        ensure!(sent.refused == 0, "the hand-made spool refused {} hooks", sent.refused);
        spool.accepted(&sent);
        spool.costs(&cpu, &by_hand_cpu(lab), count);

        settle().await?;
        let before = lab.door.metrics().await?.sum("frontdesk_journal_published_total");
        let cpu = [cpu_s(&[lab.door.pid()]), cpu_s(&[lab.nats.process.pid()])];
        let sent = flood(lab.door.addr, PATH, &batch).await?;
        door.accepted(&sent);
        refused += sent.refused;
        lab.door.counted("frontdesk_journal_published_total", before + sent.accepted as f64).await?;
        door.costs(&cpu, &[cpu_s(&[lab.door.pid()]), cpu_s(&[lab.nats.process.pid()])], sent.accepted);

        settle().await?;
        let sent = flood(lab.by_hand.addr, "/broker", &batch).await?;
        ensure!(sent.refused == 0, "the hand-made broker line refused {} hooks", sent.refused);
        broker.accepted(&sent);

        settle().await?;
        let cpu = by_hand_cpu(lab);
        let sent = flood(lab.by_hand.addr, "/rows", &batch).await?;
        let commits = lab.by_hand.committed(count).await?;
        let last = commits.iter().map(|(_, at)| *at).max().unwrap_or(sent.began);
        rows.accepted(&sent);
        rows.recorded_per_s.push(count as f64 * 1e6 / (last - sent.began) as f64);
        rows.costs(&cpu, &by_hand_cpu(lab), count);

        settle().await?;
        let before = lab.desk.metrics().await?.sum("frontdesk_recorded_total");
        let cpu = desk_cpu(lab);
        let sent = flood(lab.desk.addr, PATH, &batch).await?;
        let done = lab.desk.counted("frontdesk_recorded_total", before + sent.accepted as f64).await?;
        desk.accepted(&sent);
        refused += sent.refused;
        desk.recorded_per_s.push(sent.accepted as f64 * 1e6 / (done - sent.began) as f64);
        desk.costs(&cpu, &desk_cpu(lab), sent.accepted);
        report.progress(&format!("flood, round {} of {}", round + 1, lab.size.rounds));
    }
    report.heading(&format!(
        "Hooks of 1 KiB over 64 connections: {} a line, {} rounds",
        lab.size.hooks, lab.size.rounds
    ));
    show_accepted(report, "door, no core running", &spool, &door);
    show_accepted(report, "all in one, recording meanwhile", &spool, &desk);
    let accepted = |by_hand: &Line, ours: &Line, name: &str| {
        Figure::new(name, "per s", by_hand.accepted_per_s.clone(), ours.accepted_per_s.clone(), Target::None)
    };
    report.figure(&accepted(&broker, &door, "accepted, door / hand-made broker-acked line"));
    report.figure(&Figure::new(
        "recorded, from the first hook to the last commit",
        "per s",
        rows.recorded_per_s.clone(),
        desk.recorded_per_s.clone(),
        Target::Part(0.5),
    ));
    let cpu =
        |name: &str, by_hand: Vec<f64>, ours: Vec<f64>| Figure::new(name, "us", by_hand, ours, Target::None);
    report.figure(&cpu(
        "CPU a hook until accepted: the program (door: and published)",
        spool.cpu(0),
        door.cpu(0),
    ));
    report.figure(&cpu("CPU a hook until accepted: the door's nats-server", Vec::new(), door.cpu(1)));
    report.figure(&cpu("CPU a hook to its row: the program", rows.cpu(0), desk.cpu(0)));
    report.figure(&cpu("CPU a hook to its row: its nats-server", rows.cpu(1), desk.cpu(1)));
    if lab.postgres.is_some() {
        report.figure(&cpu("CPU a hook to its row: PostgreSQL", rows.cpu(2), desk.cpu(2)));
    }
    if refused > 0 {
        report.note(&format!("{refused} hooks were refused by frontdesk"));
    }
    Ok(())
}

fn show_accepted(report: &Report, how: &str, spool: &Line, ours: &Line) {
    let name = |what: &str| format!("{what}, {how}");
    let (by_hand, mine) = (spool.accepted_per_s.clone(), ours.accepted_per_s.clone());
    report.figure(&Figure::new(name("accepted"), "per s", by_hand, mine, Target::Part(0.7)));
    report.figure(&Figure::new(name("p50"), "ms", spool.p50_ms.clone(), ours.p50_ms.clone(), Target::None));
    report.figure(&Figure::new(
        name("p99"),
        "ms",
        spool.p99_ms.clone(),
        ours.p99_ms.clone(),
        Target::Times(3.0),
    ));
}

fn by_hand_cpu(lab: &Lab) -> [f64; 3] {
    [cpu_s(&[lab.by_hand.pid()]), cpu_s(&[lab.nats.process.pid()]), cpu_s(&lab.database_pids())]
}

fn desk_cpu(lab: &Lab) -> [f64; 3] {
    let children: Vec<u32> = lab.desk.pids().into_iter().skip(1).collect();
    [cpu_s(&[lab.desk.pid()]), cpu_s(&children), cpu_s(&lab.database_pids())]
}
