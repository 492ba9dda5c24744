//! Visitors who chat: from a line until it is acked, which both sides do after a flush, and until an agent
//! hears of it. By hand a line is one row and is passed on as it came.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use futures::{SinkExt as _, StreamExt as _};
use memchr::memmem;
use serde_json::json;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_with_config};

use super::fanout::BY_HAND;
use crate::figures::{Figure, Report, Target, percentile_ms};
use crate::follow::{Dialect, Follower, Seen};
use crate::lab::Lab;
use crate::load::{Dues, dues};
use crate::machine::{micros, settle};
use crate::numbers::{Numbers, Random, id_of, number_of};
use crate::process::PATIENCE;

const VISITORS: usize = 20;
/// Lines a second of each.
const PER_S: usize = 5;
/// A widget whose bounds are far away.
const TABLE: &str =
    "[chat.bench]\norigins = [\"*\"]\nvisitor_per_minute = 6000\naddress_per_minute = 600000\n";
/// How frontdesk's feed tells of mails and of lines.
pub(super) const ENTRIES: Dialect =
    Dialect { path: "/v1/events", event: b"event: entry", mark: b"\"message_id\":\"" };
/// What stands before the id in an ack.
const ACK: &[u8] = b"{\"type\":\"ack\",\"id\":\"";

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

pub(crate) async fn measure(lab: &Lab, report: &Report) -> anyhow::Result<()> {
    let seconds = 5 * lab.size.seconds as usize;
    let desk = lab.another("chat", TABLE.to_owned()).await?;
    let numbers = Numbers { first: 1, count: VISITORS * PER_S * seconds };
    settle().await?;
    let bare = one_side(lab.by_hand.addr, "/chat", BY_HAND, "", numbers).await?;
    settle().await?;
    let ours = one_side(desk.addr, "/chat/bench/socket", ENTRIES, &desk.token()?, numbers).await?;
    report.heading(&format!("{VISITORS} visitors write {PER_S} lines a second each, for {seconds} s"));
    let figure = |name: &str, part, of: fn(&Heard) -> &Vec<u32>, target| {
        let [bare, ours] = [&bare, &ours].map(|side| vec![percentile_ms(of(side), part)]);
        Figure::new(name, "ms", bare, ours, target)
    };
    report.figure(&figure("line to its ack p50", 0.5, |heard| &heard.acked, Target::None));
    report.figure(&figure("line to its ack p99", 0.99, |heard| &heard.acked, Target::None));
    report.figure(&figure("line to an agent over SSE p50", 0.5, |heard| &heard.seen.latencies, Target::None));
    let p99 = Target::AtMost(100.0);
    report.figure(&figure("line to an agent over SSE p99", 0.99, |heard| &heard.seen.latencies, p99));
    desk.stop()
}

/// What came of one side.
struct Heard {
    /// From sending to the ack, in microseconds.
    acked: Vec<u32>,
    seen: Seen,
}

async fn one_side(
    addr: SocketAddr,
    path: &str,
    dialect: Dialect,
    token: &str,
    numbers: Numbers,
) -> anyhow::Result<Heard> {
    let due = dues(numbers.count);
    let follower = Follower::open(addr, dialect, token).await?;
    let mut following = JoinSet::new();
    following.spawn(follower.follow(numbers, due.clone(), PATIENCE));
    let mut sockets = Vec::with_capacity(VISITORS);
    for _ in 0..VISITORS {
        sockets.push(welcomed(&format!("ws://{addr}{path}")).await?);
    }
    let began = micros() + 50_000;
    let mut visitors = JoinSet::new();
    for (visitor, socket) in sockets.into_iter().enumerate() {
        visitors.spawn(write(socket, visitor, numbers, due.clone(), began));
    }
    let mut acked = Vec::with_capacity(numbers.count);
    while let Some(done) = visitors.join_next().await {
        acked.extend(done.context("a visitor's task ended badly")??);
    }
    let seen =
        following.join_next().await.context("nobody followed")?.context("the follower ended badly")??;
    ensure!(seen.contacts == numbers.count, "an agent heard of {} of {} lines", seen.contacts, numbers.count);
    Ok(Heard { acked, seen })
}

/// A stranger's connection.
async fn welcomed(url: &str) -> anyhow::Result<Socket> {
    let (mut socket, _) =
        connect_async_with_config(url, None, true).await.context("could not open a chat")?;
    let hello = json!({ "type": "hello", "visitor": null, "token": null, "after": null });
    socket.send(Message::text(hello.to_string())).await.context("could not say hello")?;
    let welcome = next(&mut socket).await?;
    ensure!(welcome.contains(r#""type":"welcome""#), "no welcome: {welcome}");
    Ok(socket)
}

/// Writes the lines of one visitor, each at its moment whatever became of those before; how long each took
/// to be acked. Visitors take turns, so that lines come evenly.
async fn write(
    mut socket: Socket,
    visitor: usize,
    numbers: Numbers,
    dues: Dues,
    began: u64,
) -> anyhow::Result<Vec<u32>> {
    let mut random = Random(visitor as u64 + 0xc4a7);
    let mut places = (visitor..numbers.count).step_by(VISITORS);
    let (mut place, lines) = (places.next(), numbers.count / VISITORS);
    let mut acked = Vec::with_capacity(lines);
    while acked.len() < lines {
        let due = place.map(|place| began + (place * 1_000_000 / (VISITORS * PER_S)) as u64);
        let pause = Duration::from_micros(due.unwrap_or(u64::MAX).saturating_sub(micros()).min(60_000_000));
        let frame = tokio::select! {
            () = tokio::time::sleep(pause), if place.is_some() => None,
            frame = next(&mut socket) => Some(frame?),
        };
        let Some(frame) = frame else {
            let Some(now) = place else { continue };
            let number = numbers.first + u32::try_from(now).context("too many lines")?;
            let id = id_of(number, [random.next(), random.next()]);
            let text = format!("Good morning, where is my order {number}? It was to come today.");
            let line = json!({ "type": "message", "id": id, "text": text });
            dues.get(now).context("a line too many")?.store(micros(), Ordering::Relaxed);
            socket.send(Message::text(line.to_string())).await.context("could not send a line")?;
            place = places.next();
            continue;
        };
        // Frontdesk shows visitors their own lines too.
        if let Some(at) = memmem::find(frame.as_bytes(), ACK) {
            let number =
                frame.as_bytes().get(at + ACK.len()..).and_then(number_of).context("an ack of what?")?;
            let place = numbers.place(number).context("an ack of none of ours")?;
            let sent = dues.get(place).map_or(0, |due| due.load(Ordering::Relaxed));
            acked.push(u32::try_from(micros().saturating_sub(sent)).unwrap_or(u32::MAX));
        } else if frame.contains(r#""type":"error""#) {
            bail!("a line was refused: {frame}");
        }
    }
    Ok(acked)
}

/// The next text. Safe to drop: nothing is lost.
async fn next(socket: &mut Socket) -> anyhow::Result<Arc<str>> {
    loop {
        let told = tokio::time::timeout(PATIENCE, socket.next()).await.context("a chat fell silent")?;
        match told.context("a chat hung up")?.context("a chat broke")? {
            Message::Text(text) => return Ok(text.as_str().into()),
            Message::Close(why) => bail!("a chat was closed: {why:?}"),
            _ => {}
        }
    }
}
