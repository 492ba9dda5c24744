//! Routing: 500 agents at their consoles, 5,000 conversations nobody can take, and contacts that come in: how
//! soon is each offered to somebody who sees it, and how many a second are offered, taken and done with. Then
//! what rules, promises and agents cost the intake: the same flood is recorded without any of them (the first
//! column), in the same run.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::json;
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::decide;
use crate::crew::{Consoles, Crew, drain, listen};
use crate::figures::{Figure, Report, Target, percentile_ms};
use crate::hooks::{Batch, PATH, Pbx, TOKEN};
use crate::lab::{Lab, Size};
use crate::load::{dues, flood, steady};
use crate::machine::{cpu_s, micros, settle};
use crate::numbers::Numbers;
use crate::process::PATIENCE;
use crate::product::Product;

/// The line whose callers nobody can serve.
const BACK: &str = "/hooks/phone/back";
/// Contacts a second: more than 500 people can talk to.
const PER_S: u32 = 20;
const RECORDED: &str = "frontdesk_recorded_total";

/// How much of it.
#[derive(Clone, Copy)]
struct Scale {
    agents: usize,
    waiting: usize,
    /// Contacts at a rate.
    steady: usize,
    /// Contacts at once.
    burst: usize,
    /// Contacts of one line of one round of the intake.
    flood: usize,
    rounds: usize,
}

impl Scale {
    fn of(size: Size) -> Self {
        let quick = size.seconds < 2;
        Self {
            agents: if quick { 100 } else { 500 },
            waiting: if quick { 1_000 } else { 5_000 },
            steady: PER_S as usize * 5 * size.seconds as usize,
            burst: if quick { 500 } else { 3_000 },
            flood: (size.hooks / 3).max(1),
            rounds: size.rounds,
        }
    }
}

pub(crate) async fn measure(lab: &mut Lab, report: &Report) -> anyhow::Result<()> {
    let scale = Scale::of(lab.size);
    decide::measure(report)?;
    offers(lab, report, scale).await?;
    intake(lab, report, scale).await
}

/// Promises of every kind, and rules that are asked before the one that holds.
fn tables() -> String {
    format!(
        r#"
[phone.back]
provider = "twilio"
region = "UA"
zone = "Europe/Kyiv"
auth_token = "{TOKEN}"
own_numbers = ["+380800500500"]
[calendars.office]
zone = "Europe/Kyiv"
week = {{ mon-sun = ["00:00-12:00", "12:30-24:00"] }}
[routing]
calendar = "office"
[routing.segments]
vip = 30
[routing.rules.vip]
order = 10
when = "client.segment == 'vip' && client.value > 1000"
queue = "key-accounts"
[routing.rules.chats]
order = 20
when = "event.channel == 'chat'"
queue = "chats"
[routing.rules.back]
order = 30
when = "event.source == 'phone/back'"
queue = "back"
skills = ["nobody-has-it"]
promises.first_response = {{ within_s = 86400, calendar = "office" }}
promises.callback = {{ within_s = 86400, calendar = "office" }}
[routing.rules.calls]
order = 40
when = "event.channel == 'phone' && event.outcome == 'missed'"
queue = "calls"
priority = 60
promises.first_response = {{ within_s = 7200, calendar = "office" }}
promises.callback = {{ within_s = 7200, calendar = "office" }}
"#
    )
}

/// What an agent can take: also the queue of what waits, though without its skill.
fn profile() -> serde_json::Value {
    json!({ "queues": ["calls", "back", "chats"], "skills": ["english"], "capacity": { "phone": 3, "chat": 3 },
        "extensions": [] })
}

// --- contact to offer

async fn offers(lab: &Lab, report: &Report, scale: Scale) -> anyhow::Result<()> {
    let desk = lab.another("offers", tables()).await?;
    let back = Arc::new(Pbx::of_strangers(BACK, 2_000_000).batch(scale.waiting)?);
    let sent = flood(desk.addr, BACK, &back).await?;
    ensure!(sent.refused == 0, "{} hooks were refused", sent.refused);
    desk.counted(RECORDED, scale.waiting as f64).await?;
    report.progress(&format!("{} wait whom nobody can serve", scale.waiting));
    let crew = Crew::hire(&desk, scale.agents, &profile()).await?;
    let consoles = crew.sit_down(&desk).await?;
    report.progress(&format!("{} agents are there", scale.agents));
    settle().await?;

    let mut pbx = Pbx::of_strangers(PATH, 3_000_000);
    let batch = Arc::new(pbx.batch(scale.steady)?);
    let due = dues(scale.steady);
    let (cpu, heard) = (cpu_s(&[desk.pid()]), consoles.heard());
    let serving = Serving::begin(&crew, &consoles, batch.numbers).await?;
    let sent = steady(desk.addr, PATH, &batch, PER_S, &due).await?;
    ensure!(sent.refused == 0, "{} hooks were refused", sent.refused);
    let cores = (cpu_s(&[desk.pid()]) - cpu) / sent.seconds;
    let served = serving.end(scale.steady).await?;
    let [messages, bytes, _] = consoles.heard();
    let each = (scale.steady * scale.agents) as f64;
    let told = [(messages - heard[0]) / each, (bytes - heard[1]) / each / 1024.0];
    let late: Vec<u32> = served
        .seen
        .iter()
        .zip(due.iter())
        .map(|(seen, due)| {
            u32::try_from(seen.saturating_sub(due.load(Ordering::Relaxed))).unwrap_or(u32::MAX)
        })
        .collect();
    report.progress(&format!("{} contacts at {PER_S} a second", scale.steady));

    let batch = Arc::new(pbx.batch(scale.burst)?);
    let [.., anew] = consoles.heard();
    let before = desk.metrics().await?.sum("frontdesk_routing_decisions_total");
    let serving = Serving::begin(&crew, &consoles, batch.numbers).await?;
    let sent = flood(desk.addr, PATH, &batch).await?;
    ensure!(sent.refused == 0, "{} hooks were refused", sent.refused);
    let burst = serving.end(scale.burst).await?;
    let decisions = desk.metrics().await?.sum("frontdesk_routing_decisions_total") - before;
    let last = burst.seen.iter().max().copied().unwrap_or(sent.began);
    let since = |end: u64| (end.saturating_sub(sent.began)) as f64 / 1e6;

    report.heading(&format!(
        "{} agents, {} conversations nobody can take; contacts are offered, accepted, resolved",
        scale.agents, scale.waiting
    ));
    let figure = |name: String, unit, value, target| Figure::ours(name, unit, vec![value], target);
    for (name, part, target) in [("p50", 0.5, Target::None), ("p99", 0.99, Target::AtMost(100.0))] {
        let name = format!("hook to the offered agent {name}, {PER_S} a second");
        report.figure(&figure(name, "ms", percentile_ms(&late, part), target));
    }
    let none = Target::None;
    report.figure(&figure(format!("cores of the program, {PER_S} a second"), "cores", cores, none));
    report.figure(&figure("messages to each console a contact".to_owned(), "each", told[0], none));
    report.figure(&figure("bytes to each console a contact".to_owned(), "KiB", told[1], none));
    let (all, per_s) = (scale.burst as f64, |count: f64, end| count / since(end));
    report.figure(&figure(format!("{} at once: offered", scale.burst), "per s", per_s(all, last), none));
    let done = per_s(all, burst.done);
    report.figure(&figure(format!("{} at once: accepted and resolved", scale.burst), "per s", done, none));
    let decided = per_s(decisions, burst.done);
    report.figure(&figure("decisions about offers meanwhile".to_owned(), "per s", decided, none));
    let each = (consoles.heard()[2] - anew) / scale.agents as f64;
    report.figure(&figure("times each console read its lists anew meanwhile".to_owned(), "each", each, none));
    if served.too_late + burst.too_late > 0 {
        report.note(&format!("{} acceptances came too late", served.too_late + burst.too_late));
    }
    drop(consoles);
    desk.stop()
}

/// Everybody takes what they are offered, and is done with it at once.
struct Serving {
    hands: JoinSet<anyhow::Result<()>>,
    log: Arc<Mutex<Served>>,
    accepted: Arc<AtomicUsize>,
    enough: CancellationToken,
}

/// What became of a batch.
#[derive(Default)]
struct Served {
    /// When each was first seen by who was offered it, by its place; 0: never.
    seen: Vec<u64>,
    /// When the last was resolved.
    done: u64,
    too_late: usize,
}

impl Serving {
    async fn begin(crew: &Crew, consoles: &Consoles, numbers: Numbers) -> anyhow::Result<Self> {
        let log = Arc::new(Mutex::new(Served { seen: vec![0; numbers.count], ..Served::default() }));
        let (accepted, enough) = (Arc::new(AtomicUsize::new(0)), CancellationToken::new());
        let mut hands = JoinSet::new();
        for mut hand in crew.hands().await? {
            let (crew, offers, log) = (crew.clone(), consoles.offers.clone(), log.clone());
            let (accepted, enough) = (accepted.clone(), enough.clone());
            hands.spawn(async move {
                loop {
                    let next = async { offers.lock().await.recv().await };
                    let offer = tokio::select! {
                        () = enough.cancelled() => return Ok(()),
                        offer = next => offer.context("nobody listens any more")?,
                    };
                    if let Some(place) = offer.number.and_then(|number| numbers.place(number))
                        && let Some(seen) = log.lock().await.seen.get_mut(place).filter(|seen| **seen == 0)
                    {
                        *seen = offer.seen;
                    }
                    if crew.serve(&mut hand, &offer).await? {
                        log.lock().await.done = micros();
                        accepted.fetch_add(1, Ordering::Relaxed);
                    } else {
                        log.lock().await.too_late += 1;
                    }
                }
            });
        }
        Ok(Self { hands, log, accepted, enough })
    }

    /// Waits until so many are done with.
    async fn end(mut self, count: usize) -> anyhow::Result<Served> {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        while self.accepted.load(Ordering::Relaxed) < count {
            tokio::select! {
                Some(ended) = self.hands.join_next() => ended.context("a hand ended badly")??,
                () = tokio::time::sleep(Duration::from_millis(5)) => {}
            }
            let done = self.accepted.load(Ordering::Relaxed);
            ensure!(tokio::time::Instant::now() < deadline, "{done} of {count} were served in two minutes");
        }
        self.enough.cancel();
        while let Some(ended) = self.hands.join_next().await {
            ended.context("a hand ended badly")??;
        }
        let served = std::mem::take(&mut *self.log.lock().await);
        let unseen = served.seen.iter().filter(|seen| **seen == 0).count();
        ensure!(unseen == 0, "{unseen} contacts were never offered");
        Ok(served)
    }
}

// --- what it costs the intake

async fn intake(lab: &mut Lab, report: &Report, scale: Scale) -> anyhow::Result<()> {
    let plain = lab.another("plain", String::new()).await?;
    let ruled = lab.another("ruled", tables()).await?;
    let (mut bare, mut rules, mut streams, mut agents) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for round in 0..scale.rounds {
        let batch = Arc::new(lab.pbx.batch(scale.flood)?);
        bare.push(recorded_per_s(&plain, &batch).await?);
        rules.push(recorded_per_s(&ruled, &batch).await?);
        report.progress(&format!("intake with and without rules, round {} of {}", round + 1, scale.rounds));
    }
    let crew = Crew::hire(&ruled, scale.agents, &profile()).await?;
    let token = plain.token()?;
    for round in 0..scale.rounds {
        let batch = Arc::new(lab.pbx.batch(scale.flood)?);
        // As many streams as agents, so that what differs is what is decided about them.
        let mut listening = JoinSet::new();
        for _ in 0..scale.agents {
            listening.spawn(drain(listen(plain.addr, &token).await?));
        }
        streams.push(recorded_per_s(&plain, &batch).await?);
        listening.shutdown().await;
        let consoles = crew.sit_down(&ruled).await?;
        agents.push(recorded_per_s(&ruled, &batch).await?);
        drop(consoles);
        report.progress(&format!("intake with agents, round {} of {}", round + 1, scale.rounds));
    }
    report.heading(&format!(
        "{} hooks at once, recorded; first column: without rules and agents, in turns",
        scale.flood
    ));
    let figure = |name: String, without: &Vec<f64>, with: &Vec<f64>, target| {
        Figure::new(name, "per s", without.clone(), with.clone(), target)
    };
    let count = scale.agents;
    report.figure(&figure("with rules and promises".to_owned(), &bare, &rules, Target::Part(0.5)));
    report.figure(&figure(format!("with {count} streams alone"), &bare, &streams, Target::None));
    let all = format!("with rules, promises, {count} agents");
    report.figure(&figure(all.clone(), &bare, &agents, Target::None));
    report.figure(&figure(format!("{all} / as many streams"), &streams, &agents, Target::Part(0.5)));
    plain.stop()?;
    ruled.stop()
}

/// Contacts a second from the first hook to the last commit.
async fn recorded_per_s(desk: &Product, batch: &Arc<Batch>) -> anyhow::Result<f64> {
    settle().await?;
    let before = desk.metrics().await?.sum(RECORDED);
    let sent = flood(desk.addr, PATH, batch).await?;
    ensure!(sent.refused == 0, "{} hooks were refused", sent.refused);
    let done = desk.counted(RECORDED, before + sent.accepted as f64).await?;
    Ok(sent.accepted as f64 * 1e6 / (done - sent.began) as f64)
}
