//! Agents at their consoles: each has a token and an event stream of their own, and is offered what suits
//! them. What they answer, a few hands answer for all of them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use memchr::memmem;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::{Mutex, mpsc, watch};
use tokio::task::JoinSet;

use crate::http::Connection;
use crate::machine::micros;
use crate::numbers::number_of;
use crate::process::PATIENCE;
use crate::product::Product;

/// Connections by which all of them ask and answer.
const HANDS: usize = 32;
/// What a console reads anew; `{me}` is the agent.
const LISTS: [&str; 7] = [
    "/v1/me",
    "/v1/conversations?waiting=true&limit=100",
    "/v1/conversations?assignee={me}&status=open&limit=200",
    "/v1/conversations?assignee={me}&status=pending&limit=200",
    "/v1/conversations?assignee={me}&status=snoozed&limit=200",
    "/v1/reservations",
    "/v1/agents",
];
const NOT_AGAIN_FOR: Duration = Duration::from_secs(10);
/// What stands before the number of the call an offer is about.
const CALL: &[u8] = b"\"call_id\":\"";

/// Agents with tokens and profiles.
#[derive(Clone)]
pub(crate) struct Crew {
    addr: SocketAddr,
    /// Name and token.
    agents: Arc<Vec<(String, String)>>,
}

/// An offer as the agent it was made to saw it.
#[derive(Debug)]
pub(crate) struct Offer {
    /// Of the call it is about.
    pub(crate) number: Option<u32>,
    pub(crate) seen: u64,
    id: String,
    conversation: String,
    /// Its place in the crew.
    agent: usize,
}

/// Agents whose streams are open; dropped, all streams end.
pub(crate) struct Consoles {
    pub(crate) offers: Arc<Mutex<mpsc::Receiver<Offer>>>,
    heard: Arc<Heard>,
    _streams: JoinSet<()>,
}

/// What all of them were told of, whatever it was about.
#[derive(Default)]
struct Heard {
    messages: AtomicUsize,
    bytes: AtomicUsize,
    /// How often one of them read its lists again.
    anew: AtomicUsize,
}

impl Consoles {
    /// Messages so far, bytes, and how often one of them read its lists again.
    pub(crate) fn heard(&self) -> [f64; 3] {
        [&self.heard.messages, &self.heard.bytes, &self.heard.anew]
            .map(|count| count.load(Ordering::Relaxed) as f64)
    }
}

impl Crew {
    /// So many agents who can take this; nobody is there yet.
    pub(crate) async fn hire(desk: &Product, count: usize, profile: &Value) -> anyhow::Result<Self> {
        let admin = desk.token_of("admin")?;
        let (addr, profile) = (desk.addr, profile.to_string());
        let made = Arc::new(Mutex::new(Vec::with_capacity(count)));
        let all = made.clone();
        each(addr, count, async move |connection, place| {
            let name = format!("agent-{place:03}");
            let body = format!(r#"{{"name":"{name}","role":"agent"}}"#);
            let status = connection.ask("POST", "/v1/tokens", &admin, &body).await?;
            ensure!(status == 201, "a token was refused: {status}");
            let made: Value = serde_json::from_slice(connection.body()).context("a token is no JSON")?;
            let token = made.get("secret").and_then(Value::as_str).context("a token has no secret")?;
            let token = token.to_owned();
            let status = connection.ask("PUT", &format!("/v1/agents/{name}"), &admin, &profile).await?;
            ensure!(
                (200..300).contains(&status),
                "a profile was refused: {status} {}",
                String::from_utf8_lossy(connection.body())
            );
            all.lock().await.push((name, token));
            Ok(())
        })
        .await?;
        let agents = Arc::new(std::mem::take(&mut *made.lock().await));
        Ok(Self { addr, agents })
    }

    /// Everybody opens a stream and waits for its head, then says that they are available.
    pub(crate) async fn sit_down(&self, desk: &Product) -> anyhow::Result<Consoles> {
        // An offer nobody takes from here holds its stream back, and no other.
        let (found, offers) = mpsc::channel(1 << 16);
        let (mut streams, heard) = (JoinSet::new(), Arc::new(Heard::default()));
        for (place, (name, token)) in self.agents.iter().enumerate() {
            let stream = listen(self.addr, token).await?;
            let mark = format!("\"agent\":\"{name}\"").into_bytes();
            let (anew, skipped) = watch::channel(());
            streams.spawn(read_anew(self.addr, (name.clone(), token.clone()), place, skipped, heard.clone()));
            streams.spawn(follow(stream, place, mark, found.clone(), heard.clone(), anew));
        }
        // A console counts once that it is open stands in the store.
        let token = desk.token()?;
        let deadline = Instant::now() + PATIENCE;
        let mut connection = Connection::open(self.addr).await?;
        while here(&mut connection, &token, "\"connected\":true").await? < self.agents.len() {
            ensure!(Instant::now() < deadline, "not all agents were connected in two minutes");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let agents = self.agents.clone();
        each(self.addr, self.agents.len(), async move |connection, place| {
            let (_, token) = agents.get(place).context("there is no such agent")?;
            let body = r#"{"presence":"available"}"#;
            let status = connection.ask("PUT", "/v1/me/presence", token, body).await?;
            ensure!((200..300).contains(&status), "presence was refused: {status}");
            Ok(())
        })
        .await?;
        Ok(Consoles { offers: Arc::new(Mutex::new(offers)), heard, _streams: streams })
    }

    /// Accepts an offer and resolves what it was about; false when it was too late.
    pub(crate) async fn serve(&self, connection: &mut Connection, offer: &Offer) -> anyhow::Result<bool> {
        let (_, token) = self.agents.get(offer.agent).context("there is no such agent")?;
        let accept = format!("/v1/reservations/{}/accept", offer.id);
        match connection.ask("POST", &accept, token, "").await? {
            200 => {}
            409 => return Ok(false),
            status => bail!("{accept} answered {status}: {}", String::from_utf8_lossy(connection.body())),
        }
        let resolve = format!("/v1/conversations/{}/resolve", offer.conversation);
        let status = connection.ask("POST", &resolve, token, "").await?;
        ensure!((200..300).contains(&status), "{resolve} answered {status}");
        Ok(true)
    }

    /// Connections to answer by.
    pub(crate) async fn hands(&self) -> anyhow::Result<Vec<Connection>> {
        let mut hands = Vec::with_capacity(HANDS);
        for _ in 0..HANDS {
            hands.push(Connection::open(self.addr).await?);
        }
        Ok(hands)
    }
}

/// How many agents of the list have this.
async fn here(connection: &mut Connection, token: &str, mark: &str) -> anyhow::Result<usize> {
    let status = connection.get("/v1/agents", token).await?;
    ensure!(status == 200, "/v1/agents answered {status}");
    Ok(memmem::find_iter(connection.body(), mark.as_bytes()).count())
}

/// Does it for every place, over a few connections.
async fn each(
    addr: SocketAddr,
    count: usize,
    deed: impl AsyncFn(&mut Connection, usize) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let next = AtomicUsize::new(0);
    let hand = async || -> anyhow::Result<()> {
        let mut connection = Connection::open(addr).await?;
        loop {
            let place = next.fetch_add(1, Ordering::Relaxed);
            if place >= count {
                return Ok(());
            }
            deed(&mut connection, place).await?;
        }
    };
    futures::future::try_join_all((0..HANDS).map(|_| hand())).await?;
    Ok(())
}

/// An open stream of a screen, read up to the end of its head.
pub(crate) async fn listen(addr: SocketAddr, token: &str) -> anyhow::Result<TcpStream> {
    let mut stream = TcpStream::connect(addr).await.context("could not connect to the stream")?;
    let request = format!(
        "GET /v1/events?screen=true HTTP/1.1\r\nHost: bench.example\r\nAccept: text/event-stream\r\nAuthorization: Bearer {token}\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.context("could not ask for the stream")?;
    let mut head = Vec::new();
    while memmem::find(&head, b"\r\n\r\n").is_none() {
        let read = stream.read_buf(&mut head).await.context("could not read the stream's head")?;
        ensure!(read > 0, "the stream ended before its head");
    }
    ensure!(head.starts_with(b"HTTP/1.1 200"), "the stream was refused: {}", String::from_utf8_lossy(&head));
    Ok(stream)
}

/// Reads a stream and lets everything go that comes.
pub(crate) async fn drain(mut stream: TcpStream) {
    let mut buffer = vec![0; 256 * 1024];
    while matches!(stream.read(&mut buffer).await, Ok(read) if read > 0) {}
}

/// A console that was not told everything reads its lists again, as the agents' page does: after a pause, and
/// not all the time.
async fn read_anew(
    addr: SocketAddr,
    (name, token): (String, String),
    place: usize,
    mut skipped: watch::Receiver<()>,
    heard: Arc<Heard>,
) {
    while skipped.changed().await.is_ok() {
        tokio::time::sleep(Duration::from_millis(place as u64 % 20 * 100)).await;
        skipped.mark_unchanged();
        for path in LISTS {
            let Ok(mut connection) = Connection::open(addr).await else { return };
            if !matches!(connection.get(&path.replace("{me}", &name), &token).await, Ok(200)) {
                return;
            }
        }
        heard.anew.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(NOT_AGAIN_FOR).await;
    }
}

/// Tells of the offers to one agent until the stream ends.
async fn follow(
    mut stream: TcpStream,
    agent: usize,
    mark: Vec<u8>,
    found: mpsc::Sender<Offer>,
    heard: Arc<Heard>,
    anew: watch::Sender<()>,
) {
    let mut buffer = Vec::with_capacity(64 * 1024);
    while matches!(stream.read_buf(&mut buffer).await, Ok(read) if read > 0) {
        let seen = micros();
        let mut from = 0;
        while let Some(length) = memmem::find(buffer.get(from..).unwrap_or_default(), b"\n\n") {
            let message = buffer.get(from..from + length).unwrap_or_default();
            from += length + 2;
            heard.messages.fetch_add(1, Ordering::Relaxed);
            if is(message, b"event: skipped") {
                anew.send_replace(());
            }
            if let Some(offer) = offer(message, agent, &mark, seen)
                && found.send(offer).await.is_err()
            {
                return;
            }
        }
        heard.bytes.fetch_add(from, Ordering::Relaxed);
        buffer.drain(..from);
    }
}

/// Whether its head says so.
fn is(message: &[u8], what: &[u8]) -> bool {
    memmem::find(message.get(..message.len().min(96)).unwrap_or_default(), what).is_some()
}

/// The offer a message tells this agent of.
fn offer(message: &[u8], agent: usize, mark: &[u8], seen: u64) -> Option<Offer> {
    if !is(message, b"event: reservation") {
        return None;
    }
    memmem::find(message, mark)?;
    let data = memmem::find(message, b"data: ")? + 6;
    let data: Value = serde_json::from_slice(message.get(data..)?).ok()?;
    let reservation = data.get("reservation")?;
    let text = |value: &Value, key: &str| Some(value.get(key)?.as_str()?.to_owned());
    let ours = mark.strip_prefix(b"\"agent\":\"")?.strip_suffix(b"\"")?;
    if text(reservation, "state")? != "pending" || text(reservation, "agent")?.as_bytes() != ours {
        return None;
    }
    let number = memmem::find(message, CALL).and_then(|at| number_of(message.get(at + CALL.len()..)?));
    let conversation = text(reservation.get("conversation")?, "id")?;
    Some(Offer { number, seen, id: text(reservation, "id")?, conversation, agent })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_hears_of_offers_to_them_alone() {
        let message = |agent: &str, state: &str| {
            format!(
                "id: 7\nevent: reservation\ndata: {{\"reservation\":{{\"id\":\"rsv_1\",\"state\":\"{state}\",\
                 \"agent\":\"{agent}\",\"conversation\":{{\"id\":\"cnv_1\",\"last_entry\":{{\"content\":\
                 {{\"call_id\":\"CA000000000000000000000000000000ff\"}}}}}}}}}}"
            )
        };
        let heard = |agent, state| offer(message(agent, state).as_bytes(), 3, b"\"agent\":\"mia\"", 9);
        let mine = heard("mia", "pending").unwrap();
        assert_eq!((mine.number, mine.agent, mine.seen), (Some(255), 3, 9));
        assert_eq!((mine.id.as_str(), mine.conversation.as_str()), ("rsv_1", "cnv_1"));
        assert!(heard("bo", "pending").is_none());
        assert!(heard("mia", "accepted").is_none());
    }
}
