//! The yardstick: the same way of a hook, a mail or a chat's line, written by hand with no features. No
//! signature is checked, nothing is normalised, nobody is authorised, nothing is counted.
//!
//! `/spool` answers when the body is flushed (one flush for all who wait); `/broker` when JetStream has
//! acked it; `/rows` the same, and a consumer writes it to the store in batches; `/push` hands it to all
//! who follow `/sse`. `/mailbox` publishes all mails of a mailbox for the same consumer, `/idle` waits for
//! mails, `/chat` is a WebSocket whose lines are spooled, acked and then published; whoever follows hears of
//! rows too. It runs as a process of its own: `bench serve`.

mod chat;
mod mailbox;
pub(crate) mod recorder;
pub(crate) mod spool;
pub(crate) mod store;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::Context as _;
use async_nats::jetstream::{self, stream};
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Sse;
use axum::response::sse::Event;
use axum::routing::{get, post};
use axum::serve::ListenerExt as _;
use bytes::Bytes;
use tokio::sync::broadcast;
use tokio::task::JoinSet;

use self::mailbox::Place;
use self::recorder::Commits;
use self::spool::Spool;

/// Without a reader.
const BROKER: (&str, &str) = ("BENCH_BROKER", "bench.broker");
/// Read by the recorder.
const ROWS: (&str, &str) = ("BENCH_ROWS", "bench.rows");

/// What `bench serve` is told.
#[derive(clap::Args)]
pub(crate) struct Serve {
    #[arg(long)]
    listen: SocketAddr,
    #[arg(long)]
    nats: String,
    #[arg(long)]
    store: String,
    #[arg(long)]
    spool: PathBuf,
}

struct House {
    spool: Spool,
    broker: jetstream::Context,
    commits: Arc<Mutex<Commits>>,
    followers: broadcast::Sender<Bytes>,
}

pub(crate) async fn serve(serve: Serve) -> anyhow::Result<()> {
    let broker =
        jetstream::context::ContextBuilder::new().max_ack_inflight(8192).build(connect(&serve.nats).await?);
    for (name, subject) in [BROKER, ROWS] {
        let config = stream::Config {
            name: name.to_owned(),
            subjects: vec![subject.to_owned()],
            storage: stream::StorageType::File,
            ..stream::Config::default()
        };
        broker.create_stream(config).await.context("could not make a stream")?;
    }
    let store = store::Store::open(&serve.store).await?;
    let commits = Arc::new(Mutex::new(Commits::default()));
    // A connection of its own, so that acks for publishers do not queue behind deliveries.
    let reader = jetstream::new(connect(&serve.nats).await?);
    let mut tasks = JoinSet::new();
    let followers = broadcast::channel(4096).0;
    tasks.spawn(recorder::record(reader, ROWS.0, store, commits.clone(), followers.clone()));
    let house = House { spool: Spool::open(&serve.spool)?, broker, commits, followers };
    let app = Router::new()
        .route("/spool", post(spooled))
        .route("/broker", post(acked))
        .route("/rows", post(recorded))
        .route("/commits", get(commits_so_far))
        .route("/push", post(push))
        .route("/sse", get(follow))
        .route("/mailbox", post(read_mailbox))
        .route("/idle", post(wait_for_mails))
        .route("/chat", get(chat::chat))
        .with_state(Arc::new(house));
    let listener = tokio::net::TcpListener::bind(serve.listen).await.context("could not listen")?;
    let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
    tokio::select! {
        served = axum::serve(listener, app) => served.context("could not serve"),
        Some(ended) = tasks.join_next() => ended.context("the recorder ended badly")?,
    }
}

async fn connect(url: &str) -> anyhow::Result<async_nats::Client> {
    async_nats::ConnectOptions::new()
        .client_capacity(8192)
        .subscription_capacity(65_536)
        .connect(url)
        .await
        .context("could not connect to NATS")
}

async fn spooled(State(house): State<Arc<House>>, body: Bytes) -> StatusCode {
    match house.spool.append(body).await {
        true => StatusCode::NO_CONTENT,
        false => StatusCode::SERVICE_UNAVAILABLE,
    }
}

async fn acked(State(house): State<Arc<House>>, body: Bytes) -> StatusCode {
    publish(&house.broker, BROKER.1, body).await
}

async fn recorded(State(house): State<Arc<House>>, body: Bytes) -> StatusCode {
    publish(&house.broker, ROWS.1, body).await
}

async fn publish(broker: &jetstream::Context, subject: &'static str, body: Bytes) -> StatusCode {
    let acked = match broker.publish(subject, body).await {
        Ok(ack) => ack.await.is_ok(),
        Err(_) => false,
    };
    if acked { StatusCode::ACCEPTED } else { StatusCode::SERVICE_UNAVAILABLE }
}

/// A line for each row committed, and each mail read in IDLE, since the last time: its number and when.
async fn commits_so_far(State(house): State<Arc<House>>) -> String {
    let commits = house.commits.lock().map(|mut commits| std::mem::take(&mut *commits)).unwrap_or_default();
    commits.iter().map(|(number, at)| format!("{number} {at}\n")).collect()
}

/// Answered when all of the mailbox is published.
async fn read_mailbox(State(house): State<Arc<House>>, place: String) -> (StatusCode, String) {
    let published = async { mailbox::publish_all(Place::read(&place)?, &house.broker, ROWS.1).await };
    match published.await {
        Ok(()) => (StatusCode::ACCEPTED, String::new()),
        Err(error) => (StatusCode::BAD_GATEWAY, format!("{error:#}")),
    }
}

/// Answered when so many mails, as the first line says, were read.
async fn wait_for_mails(State(house): State<Arc<House>>, body: String) -> (StatusCode, String) {
    let waited = async {
        let (mails, place) = body.split_once('\n').context("how many mails?")?;
        let (mails, place) = (mails.parse().context("how many mails?")?, Place::read(place)?);
        let read = house.commits.clone();
        tokio::task::spawn_blocking(move || mailbox::wait(&place, mails, &read)).await?
    };
    match waited.await {
        Ok(()) => (StatusCode::ACCEPTED, String::new()),
        Err(error) => (StatusCode::BAD_GATEWAY, format!("{error:#}")),
    }
}

async fn push(State(house): State<Arc<House>>, body: Bytes) -> StatusCode {
    // Nobody follows: nobody hears.
    drop(house.followers.send(body));
    StatusCode::ACCEPTED
}

async fn follow(
    State(house): State<Arc<House>>,
) -> Sse<impl futures::Stream<Item = Result<Event, Infallible>>> {
    let followed = house.followers.subscribe();
    Sse::new(futures::stream::unfold(followed, |mut followed| async move {
        loop {
            match followed.recv().await {
                Ok(body) => {
                    let text = std::str::from_utf8(&body).unwrap_or_default();
                    return Some((Ok(Event::default().data(text)), followed));
                }
                Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    }))
}

/// How long the recorder's consumer gives a batch.
const ACK_WAIT: Duration = Duration::from_secs(60);
