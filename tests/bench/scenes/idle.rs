//! Mails that arrive while somebody waits for them: from their delivery until an agent hears of them. By
//! hand it is a bare IDLE that stops the clock when it has the bytes. Both wait at the same mailbox for the
//! same mails, because the server itself lets half a second pass before it tells of one, and that falls on
//! both alike; what we take longer than the bare loop is told for each mail.

use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use tokio::task::JoinSet;

use super::chat::ENTRIES;
use crate::figures::{Figure, Report, Target, percentile_ms};
use crate::follow::Follower;
use crate::http;
use crate::lab::Lab;
use crate::load::dues;
use crate::machine::micros;
use crate::mails::Post;
use crate::numbers::{Numbers, Random};
use crate::process::PATIENCE;

const USER: &str = "idle";
/// Between two mails, in milliseconds: at least, and so many more at most.
const PAUSES: (u64, usize) = (200, 200);

pub(crate) async fn measure(lab: &mut Lab, report: &Report) -> anyhow::Result<()> {
    let Some(mut post) = Post::open()? else {
        report.note("mails in IDLE were left out: Dovecot is not installed");
        return Ok(());
    };
    let mails = 15 * lab.size.seconds as usize;
    let desk = lab.another("idle", post.table(USER, post.port())).await?;
    let token = desk.token()?;

    // The first mail shows that both wait, and is not measured.
    let follower = Follower::open(desk.addr, ENTRIES, &token).await?;
    let first = post.fill(&[USER], 1)?;
    let order = format!("{}\n{}", mails + 1, post.lines(USER, post.port()));
    let mut waiting = JoinSet::new();
    let by_hand = lab.by_hand.addr;
    waiting.spawn(async move { http::post(by_hand, "/idle", order).await });
    let seen = follower.follow(first, dues(1), PATIENCE).await?;
    ensure!(seen.contacts == 1, "nobody heard of the first mail");
    lab.by_hand.committed(1).await?;

    let numbers = Numbers { first: first.first + 1, count: mails };
    let due = dues(mails);
    let follower = Follower::open(desk.addr, ENTRIES, &token).await?;
    let mut following = JoinSet::new();
    following.spawn(follower.follow(numbers, due.clone(), PATIENCE));
    let mut random = Random(0x1d1e);
    for slot in due.iter() {
        let pause = PAUSES.0 + random.place(PAUSES.1) as u64;
        tokio::time::sleep(Duration::from_millis(pause)).await;
        let mail = post.mail();
        slot.store(micros(), Ordering::Relaxed);
        post.put(USER, &mail)?;
    }
    let read = lab.by_hand.committed(mails).await?;
    waiting.join_next().await.context("nobody waited")?.context("waiting by hand ended badly")??;
    let seen =
        following.join_next().await.context("nobody followed")?.context("the follower ended badly")??;
    ensure!(seen.contacts == mails, "the follower saw {} of {mails} mails", seen.contacts);

    let mut bare = Vec::new();
    let mut later = Vec::new();
    for (number, at) in read {
        let place = numbers.place(number).context("a mail that is none of ours")?;
        let due = due.get(place).map_or(0, |due| due.load(Ordering::Relaxed));
        let heard = seen.at.get(place).copied().unwrap_or(0);
        bare.push(u32::try_from(at.saturating_sub(due)).unwrap_or(u32::MAX));
        later.push(u32::try_from(heard.saturating_sub(at)).unwrap_or(u32::MAX));
    }
    report
        .heading(&format!("{mails} mails into a mailbox that is waited at; the server waits half a second"));
    for (name, part, target) in [("p50", 0.5, Target::None), ("p99", 0.99, Target::AtMost(1000.0))] {
        let (bare, ours) = (percentile_ms(&bare, part), percentile_ms(&seen.latencies, part));
        let name = format!("delivery to the bytes / to an agent over SSE {name}");
        report.figure(&Figure::new(name, "ms", vec![bare], vec![ours], target));
    }
    for (name, part) in [("p50", 0.5), ("p99", 0.99)] {
        let later = percentile_ms(&later, part);
        report.figure(&Figure::ours(
            format!("later than the bare loop {name}"),
            "ms",
            vec![later],
            Target::None,
        ));
    }
    desk.stop()
}
