//! A mailbox full of mails that is read for the first time: how fast all of them get onto the timeline. By
//! hand it is a bare loop that fetches a hundred at a time and publishes them as they are, for the recorder
//! that writes hooks. In each round both read the same mails, each from a mailbox that nobody has opened
//! before, and the clock starts when the server lets them in.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

use crate::figures::{Figure, Report, Target};
use crate::gate::Gate;
use crate::http;
use crate::lab::Lab;
use crate::machine::{Peak, cpu_s, micros, settle};
use crate::mails::Post;
use crate::process::PATIENCE;
use crate::product::Product;

/// What one side did in each round.
#[derive(Default)]
struct Side {
    per_s: Vec<f64>,
    /// Until the last mail is on the timeline.
    recorded_s: Vec<f64>,
    /// Until all are fetched and cannot be lost: the cursor is at the end; by hand, the broker has acked.
    fetched_s: Vec<f64>,
    /// CPU a mail in microseconds: the program, its nats-server, the database server.
    cpu_us: [Vec<f64>; 3],
}

impl Side {
    fn add(&mut self, mails: usize, fetched_s: f64, recorded_s: f64, before: [f64; 3], after: [f64; 3]) {
        self.per_s.push(mails as f64 / recorded_s);
        self.recorded_s.push(recorded_s);
        self.fetched_s.push(fetched_s);
        for (cpu, (after, before)) in self.cpu_us.iter_mut().zip(after.iter().zip(before)) {
            cpu.push((after - before) * 1e6 / mails as f64);
        }
    }
}

pub(crate) async fn measure(lab: &mut Lab, report: &Report) -> anyhow::Result<()> {
    let Some(mut post) = Post::open()? else {
        report.note("the backlog of a mailbox was left out: Dovecot is not installed");
        return Ok(());
    };
    let (mails, rounds) = (lab.size.mails, lab.size.rounds);
    let (mut by_hand, mut ours, mut peaks) = (Side::default(), Side::default(), Vec::new());
    for round in 0..rounds {
        let users = [format!("hand{round}"), format!("desk{round}")];
        let [hand_user, desk_user] = users.each_ref().map(String::as_str);
        post.fill(&[hand_user, desk_user], mails)?;

        settle().await?;
        lab.by_hand.commits().await?;
        let gate = Gate::before(post.port()).await?;
        let place = post.lines(hand_user, gate.port()?);
        let before = cpu(lab, &[lab.by_hand.pid()], &[lab.nats.process.pid()]);
        let open = gate.open();
        http::post(lab.by_hand.addr, "/mailbox", place).await?;
        let fetched = micros();
        let commits = lab.by_hand.committed(mails).await?;
        let last = commits.iter().map(|(_, at)| *at).max().context("nothing was committed")?;
        let after = cpu(lab, &[lab.by_hand.pid()], &[lab.nats.process.pid()]);
        by_hand.add(mails, seconds(open.began, fetched), seconds(open.began, last), before, after);
        drop(open);

        let mut gate = Gate::before(post.port()).await?;
        let desk = lab.another(&format!("backlog{round}"), post.table(desk_user, gate.port()?)).await?;
        gate.somebody_waits().await?;
        settle().await?;
        let pids = desk.pids();
        let (own, children) = pids.split_at(1);
        let (before, peak) = (cpu(lab, own, children), Peak::watch(pids.clone()));
        let open = gate.open();
        let (fetched, recorded) = read(&desk, mails).await?;
        let after = cpu(lab, own, children);
        peaks.push(peak.mib());
        ours.add(mails, seconds(open.began, fetched), seconds(open.began, recorded), before, after);
        desk.stop()?;
        report.progress(&format!("backlog of a mailbox, round {} of {rounds}", round + 1));
    }
    report.heading(&format!("A mailbox of {mails} mails of 2 to 20 KiB, read for the first time"));
    let figure = |name: &str, unit, by_hand: Vec<f64>, ours: Vec<f64>, target| {
        Figure::new(name, unit, by_hand, ours, target)
    };
    report.figure(&figure("mails recorded", "per s", by_hand.per_s, ours.per_s.clone(), Target::Part(0.5)));
    report.figure(&Figure::ours(
        "mails recorded, by themselves",
        "per s",
        ours.per_s,
        Target::AtLeast(850.0),
    ));
    report.figure(&figure("all on the timeline", "s", by_hand.recorded_s, ours.recorded_s, Target::None));
    report.figure(&figure("cursor at the end", "s", by_hand.fetched_s, ours.fetched_s, Target::None));
    let names = ["the program", "its nats-server", "PostgreSQL"];
    let shown = if lab.postgres.is_some() { 3 } else { 2 };
    let costs = by_hand.cpu_us.into_iter().zip(ours.cpu_us);
    for (name, (by_hand, ours)) in names.iter().zip(costs).take(shown) {
        report.figure(&figure(&format!("CPU a mail: {name}"), "us", by_hand, ours, Target::None));
    }
    report.figure(&Figure::ours("memory meanwhile, at most", "MiB", peaks, Target::AtMost(500.0)));
    Ok(())
}

/// When the cursor was at the end, and when all were on the timeline.
async fn read(desk: &Product, mails: usize) -> anyhow::Result<(u64, u64)> {
    let (mut fetched, mut recorded) = (None, None);
    let deadline = Instant::now() + PATIENCE;
    loop {
        let metrics = desk.metrics().await?;
        let now = micros();
        let kept = metrics.sum("frontdesk_mail_kept_total");
        // What is kept counts as behind until the cursor has passed it.
        if kept >= mails as f64 && metrics.sum("frontdesk_mailbox_behind_mails") <= 0.0 {
            fetched.get_or_insert(now);
        }
        let on_timeline = metrics.sum("frontdesk_recorded_total");
        if on_timeline >= mails as f64 {
            recorded.get_or_insert(now);
        }
        if let (Some(fetched), Some(recorded)) = (fetched, recorded) {
            return Ok((fetched, recorded));
        }
        if Instant::now() > deadline {
            bail!("{kept} of {mails} mails were kept and {on_timeline} recorded in two minutes");
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn cpu(lab: &Lab, program: &[u32], nats: &[u32]) -> [f64; 3] {
    [cpu_s(program), cpu_s(nats), cpu_s(&lab.database_pids())]
}

fn seconds(began: u64, ended: u64) -> f64 {
    ended.saturating_sub(began) as f64 / 1e6
}
