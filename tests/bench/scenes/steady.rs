//! 500 hooks a second, as a large contact centre has them on its worst day: how late is the row, and how
//! late does an agent hear of it. Latency counts from the moment a hook was due.
//!
//! The moment of a commit cannot be seen from outside without disturbing it. An agent's message is sent
//! after the commit, so it bounds the row from above; the program's own clock, from the receipt of a hook
//! to the end of its commit, tells the rest.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use tokio::task::JoinSet;

use crate::figures::{Figure, Report, Target, percentile_ms};
use crate::follow::{Dialect, Follower};
use crate::hooks::PATH;
use crate::lab::Lab;
use crate::load::{dues, steady};
use crate::machine::settle;

const PER_S: u32 = 500;
const DELAY: &str = "frontdesk_record_delay_seconds";
/// How frontdesk's feed tells of a call.
pub(super) const FEED: Dialect =
    Dialect { path: "/v1/events", event: b"event: entry", mark: b"\"call_id\":\"" };

pub(crate) async fn measure(lab: &mut Lab, report: &Report) -> anyhow::Result<()> {
    let mut answers = (Vec::new(), Vec::new());
    let mut rows = (Vec::new(), Vec::new());
    let (mut seen50, mut seen99, mut own50, mut own99) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let patience = Duration::from_secs(u64::from(lab.size.seconds) + 30);
    for round in 0..lab.size.rounds {
        let batch = Arc::new(lab.pbx.batch((PER_S * lab.size.seconds) as usize)?);
        let count = batch.hooks.len();

        lab.by_hand.commits().await?;
        settle().await?;
        let due = dues(count);
        let sent = steady(lab.by_hand.addr, "/rows", &batch, PER_S, &due).await?;
        ensure!(sent.refused == 0, "the hand-made pipeline refused hooks");
        let commits = lab.by_hand.committed(count).await?;
        let late: Vec<u32> = commits
            .iter()
            .filter_map(|(number, at)| {
                let due = due.get(batch.numbers.place(*number)?)?.load(std::sync::atomic::Ordering::Relaxed);
                u32::try_from(at.saturating_sub(due)).ok()
            })
            .collect();
        rows.0.push(percentile_ms(&late, 0.5));
        rows.1.push(percentile_ms(&late, 0.99));
        answers.0.push(percentile_ms(&sent.latencies, 0.99));

        settle().await?;
        let due = dues(count);
        let follower = Follower::open(lab.desk.addr, FEED, &lab.token).await?;
        let mut following = JoinSet::new();
        following.spawn(follower.follow(batch.numbers, due.clone(), patience));
        let before = lab.desk.metrics().await?;
        let sent = steady(lab.desk.addr, PATH, &batch, PER_S, &due).await?;
        ensure!(sent.refused == 0, "frontdesk refused {} hooks", sent.refused);
        answers.1.push(percentile_ms(&sent.latencies, 0.99));
        let seen =
            following.join_next().await.context("nobody followed")?.context("the follower ended badly")??;
        ensure!(seen.contacts == count, "the follower saw {} of {count} calls", seen.contacts);
        seen50.push(percentile_ms(&seen.latencies, 0.5));
        seen99.push(percentile_ms(&seen.latencies, 0.99));
        let after = lab.desk.metrics().await?;
        own50.extend(after.quantile(&before, DELAY, 0.5).map(|s| s * 1000.0));
        own99.extend(after.quantile(&before, DELAY, 0.99).map(|s| s * 1000.0));
        report.progress(&format!("500 a second, round {} of {}", round + 1, lab.size.rounds));
    }
    report.heading(&format!("500 hooks a second, {} s a round", lab.size.seconds));
    let figure = |name: &str, by_hand: &Vec<f64>, ours: Vec<f64>, target| {
        Figure::new(name, "ms", by_hand.clone(), ours, target)
    };
    report.figure(&figure("hook to its answer p99", &answers.0, answers.1, Target::None));
    report.figure(&figure(
        "hook to committed row p50, at most (heard over SSE)",
        &rows.0,
        seen50.clone(),
        Target::Times(2.0),
    ));
    report.figure(&figure(
        "hook to committed row p99, at most (heard over SSE)",
        &rows.1,
        seen99.clone(),
        Target::Times(3.0),
    ));
    report.figure(&figure(
        "hook to committed row p50, by frontdesk's clock",
        &rows.0,
        own50,
        Target::Times(2.0),
    ));
    report.figure(&figure(
        "hook to committed row p99, by frontdesk's clock",
        &rows.1,
        own99,
        Target::Times(3.0),
    ));
    report.figure(&Figure::ours("hook to an agent over SSE p50", "ms", seen50, Target::None));
    report.figure(&Figure::ours("hook to an agent over SSE p99", "ms", seen99, Target::AtMost(50.0)));
    Ok(())
}
