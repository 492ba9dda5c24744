//! 200 agents follow the feed while hooks come in: how late does each of them hear. A hook is two messages
//! of ours, its entry and its conversation, and it is on the timeline first; by hand it is one, passed on.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use tokio::task::JoinSet;

use super::steady::FEED;
use crate::figures::{Figure, Report, Target, percentile_ms};
use crate::follow::{Dialect, Follower};
use crate::hooks::{Batch, PATH};
use crate::lab::Lab;
use crate::load::{dues, steady};
use crate::machine::cpu_s;

const AGENTS: usize = 200;
/// By hand; ours gets half of it, which is as many messages, and all of it.
const PER_S: u32 = 200;
pub(super) const BY_HAND: Dialect = Dialect { path: "/sse", event: b"", mark: b"CallSid=" };

/// What came of one round of one side.
struct Heard {
    p50_ms: f64,
    p99_ms: f64,
    /// Messages of any kind over all agents.
    messages_per_s: f64,
    cores: f64,
}

pub(crate) async fn measure(lab: &mut Lab, report: &Report) -> anyhow::Result<()> {
    let (mut by_hand, mut half, mut full) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..lab.size.rounds {
        let batch = Arc::new(lab.pbx.batch((PER_S * lab.size.seconds) as usize)?);
        by_hand
            .push(one_side(lab.by_hand.addr, "/push", BY_HAND, "", lab.by_hand.pid(), &batch, PER_S).await?);
        for (per_s, heard) in [(PER_S / 2, &mut half), (PER_S, &mut full)] {
            let batch = Arc::new(lab.pbx.batch((per_s * lab.size.seconds) as usize)?);
            heard.push(one_side(lab.desk.addr, PATH, FEED, &lab.token, lab.desk.pid(), &batch, per_s).await?);
        }
        report.progress(&format!("{AGENTS} agents, round {} of {}", round + 1, lab.size.rounds));
    }
    report.heading(&format!("{AGENTS} agents follow the feed; by hand {PER_S} messages a second"));
    for (per_s, ours) in [(PER_S / 2, &half), (PER_S, &full)] {
        let figure = |name: &str, unit, value: fn(&Heard) -> f64, target| {
            let (by_hand, ours) = (by_hand.iter().map(value).collect(), ours.iter().map(value).collect());
            Figure::new(format!("{name}, {per_s} hooks a second"), unit, by_hand, ours, target)
        };
        report.figure(&figure("messages to all", "per s", |heard| heard.messages_per_s, Target::None));
        report.figure(&figure("hook to each agent p50", "ms", |heard| heard.p50_ms, Target::None));
        report.figure(&figure("hook to each agent p99", "ms", |heard| heard.p99_ms, Target::AtMost(10.0)));
        report.figure(&figure("cores of the program", "cores", |heard| heard.cores, Target::None));
    }
    Ok(())
}

async fn one_side(
    addr: SocketAddr,
    path: &'static str,
    dialect: Dialect,
    token: &str,
    pid: u32,
    batch: &Arc<Batch>,
    per_s: u32,
) -> anyhow::Result<Heard> {
    let due = dues(batch.hooks.len());
    let mut agents = JoinSet::new();
    for _ in 0..AGENTS {
        let follower = Follower::open(addr, dialect, token).await?;
        agents.spawn(follower.follow(batch.numbers, due.clone(), Duration::from_secs(60)));
    }
    let cpu = cpu_s(&[pid]);
    let sent = steady(addr, path, batch, per_s, &due).await?;
    let cores = (cpu_s(&[pid]) - cpu) / sent.seconds;
    ensure!(sent.refused == 0, "{} hooks were refused", sent.refused);
    let (mut latencies, mut messages) = (Vec::new(), 0);
    while let Some(done) = agents.join_next().await {
        let seen = done.context("a follower ended badly")??;
        ensure!(
            seen.contacts == batch.hooks.len(),
            "an agent heard of {} of {} calls",
            seen.contacts,
            batch.hooks.len()
        );
        latencies.extend(seen.latencies);
        messages += seen.messages;
    }
    Ok(Heard {
        p50_ms: percentile_ms(&latencies, 0.5),
        p99_ms: percentile_ms(&latencies, 0.99),
        messages_per_s: messages as f64 / sent.seconds,
        cores,
    })
}
