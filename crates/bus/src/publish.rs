//! The bus, as publishers and watchers see it.

use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::context::{self, PublishErrorKind};
use async_nats::jetstream::message::PublishMessage;
use bytes::Bytes;
use tokio::sync::{Mutex, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::conn::{BusError, Conn, Link, Options, chain};
use crate::names;
use crate::topology::{Consumer, covers, micros};

/// How long [`Bus::connect`] waits for the broker.
const PATIENCE: Duration = Duration::from_secs(10);

/// The bus. Cheap to clone; lives until the token it was started with is cancelled.
#[derive(Clone)]
pub struct Bus {
    pub(crate) conn: Conn,
    pub(crate) options: Options,
    pub(crate) healing: Arc<Mutex<()>>,
    pub(crate) tracker: TaskTracker,
    pub(crate) stop: CancellationToken,
}

/// What the broker said to a publish. It holds as long as the link has this generation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The stream that took it.
    pub stream: String,
    /// Its place there.
    pub stream_seq: u64,
    /// When that stream was created (Unix microseconds): which incarnation the place belongs to.
    pub stream_created: i64,
    /// The link's generation in which it was said.
    pub generation: u64,
}

/// Why a message is not known to be on the bus. After any of these it may be published again, and
/// after [`Away`](Self::Away) it may be there twice.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// The stream or the broker's disk is full: hold back, try again later.
    #[error("the bus is full")]
    Full,
    /// No connection, no answer, or an answer that a disconnect has made worthless: try again.
    #[error("the bus is away: {0}")]
    Away(String),
    /// Larger than the broker takes. Trying again will not help.
    #[error("the message is too large for the bus")]
    TooLarge,
    /// The broker refuses it. Trying again will hardly help.
    #[error("the bus refused the message: {0}")]
    Refused(String),
}

/// How far a consumer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Every message up to this stream sequence has been acked.
    pub ack_floor: u64,
    /// The stream's last sequence; never below the floor of a healthy consumer.
    pub last_seq: u64,
    /// Messages not yet delivered.
    pub waiting: u64,
    /// When the stream was created (Unix microseconds).
    pub stream_created: i64,
    /// The link's generation in which this was read.
    pub generation: u64,
}

impl Bus {
    /// Starts the bus without waiting for the broker: publishing says [`PublishError::Away`] until
    /// it is reached. Its task runs in `tracker` until `stop`.
    pub fn start(options: Options, tracker: TaskTracker, stop: CancellationToken) -> Self {
        let healing = Arc::new(Mutex::new(()));
        let (conn, keeper) = Conn::new(options.clone(), "main", Arc::clone(&healing), stop.clone());
        tracker.spawn(keeper);
        Self { conn, options, healing, tracker, stop }
    }

    /// Starts the bus and waits up to 10 s until it can be used. On an error nothing is left running.
    pub async fn connect(
        options: Options,
        tracker: TaskTracker,
        stop: CancellationToken,
    ) -> Result<Self, BusError> {
        let own = stop.child_token();
        let bus = Self::start(options, tracker, own.clone());
        match bus.ready(PATIENCE).await {
            Ok(()) => Ok(bus),
            Err(error) => {
                own.cancel();
                Err(error)
            }
        }
    }

    /// Waits until the bus can be used, at most for `patience`. A server that is too old or lacks
    /// JetStream is an error at once.
    pub async fn ready(&self, patience: Duration) -> Result<(), BusError> {
        self.conn.ready(&self.options.url, patience).await
    }

    /// Whether the bus can be used. Watch it to forget sequences when the generation rises.
    pub fn link(&self) -> watch::Receiver<Link> {
        self.conn.link()
    }

    /// Publishes one message and waits for the broker's word.
    ///
    /// It is queued when the future is first polled, so many can be in flight from one task: push
    /// them into a `FuturesUnordered`. Without a connection it fails at once; nothing is kept for
    /// a later connection. Within 10 s it has ended one way or the other.
    pub fn publish(
        &self,
        subject: impl Into<String>,
        payload: Bytes,
    ) -> impl Future<Output = Result<Receipt, PublishError>> + Send + 'static {
        let (conn, subject) = (self.conn.clone(), subject.into());
        async move {
            let result = publish(&conn, subject, payload).await;
            match &result {
                Ok(_) => metrics::counter!(names::PUBLISHED).increment(1),
                Err(error) => {
                    metrics::counter!(names::PUBLISH_ERRORS, "kind" => error.kind()).increment(1);
                }
            }
            result
        }
    }

    /// How far `consumer` is. Two small requests: meant to be asked a few times a second.
    pub async fn progress(&self, consumer: &Consumer) -> Result<Progress, PublishError> {
        let away = |error: &dyn std::error::Error| PublishError::Away(chain(error));
        let session = self.conn.session().ok_or_else(not_connected)?;
        let stream = consumer.stream().name();
        let handle = session.js.get_stream_no_info(stream).await.map_err(|error| away(&error))?;
        // The consumer first: the stream only grows, so its last is never below this floor.
        let of_consumer = handle.consumer_info(consumer.name()).await.map_err(|error| away(&error));
        let of_stream = handle.get_info().await.map_err(|error| away(&error));
        let (of_consumer, of_stream) = match (of_consumer, of_stream) {
            (Ok(of_consumer), Ok(of_stream)) => (of_consumer, of_stream),
            (Err(error), _) | (_, Err(error)) => return Err(error),
        };
        let stream_created = micros(of_stream.created);
        if session.created.get(stream) != Some(&stream_created) {
            session.condemn();
            return Err(PublishError::Away(format!("stream {stream} was made anew by somebody else")));
        }
        if !self.conn.still(session.generation) {
            return Err(not_connected());
        }
        Ok(Progress {
            ack_floor: of_consumer.ack_floor.stream_sequence,
            last_seq: of_stream.state.last_sequence,
            waiting: of_consumer.num_pending,
            stream_created,
            generation: session.generation,
        })
    }
}

impl PublishError {
    fn kind(&self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Away(_) => "away",
            Self::TooLarge => "too_large",
            Self::Refused(_) => "refused",
        }
    }
}

fn not_connected() -> PublishError {
    PublishError::Away("not connected".to_owned())
}

async fn publish(conn: &Conn, subject: String, payload: Bytes) -> Result<Receipt, PublishError> {
    if !covers(&subject) {
        return Err(PublishError::Refused(format!("no stream of ours takes {subject}")));
    }
    let session = conn.session().ok_or_else(not_connected)?;
    let read = |error: context::PublishError| {
        if error.kind() == PublishErrorKind::StreamNotFound {
            // Somebody removed what we declared, or JetStream is off: declare again.
            session.condemn();
        }
        reading(&error)
    };
    let message = PublishMessage::build().payload(payload);
    let ack = tokio::select! {
        biased;
        () = session.gone.cancelled() => return Err(not_connected()),
        queued = session.js.send_publish(subject, message) => queued.map_err(read)?,
    };
    let ack = ack.await.map_err(read)?;
    // Checked last: a receipt from before a disconnect must not be believed after it.
    if !conn.still(session.generation) {
        return Err(PublishError::Away("the connection was lost after the answer".to_owned()));
    }
    let stream_created = session.created.get(ack.stream.as_str()).copied().unwrap_or_default();
    Ok(Receipt {
        stream_seq: ack.sequence,
        stream: ack.stream,
        stream_created,
        generation: session.generation,
    })
}

/// What a failure of the client library means to us.
fn reading(error: &context::PublishError) -> PublishError {
    use async_nats::jetstream::ErrorCode;
    match error.kind() {
        PublishErrorKind::MaxPayloadExceeded => return PublishError::TooLarge,
        PublishErrorKind::Other => {}
        _ => return PublishError::Away(chain(error)),
    }
    let said = error.source().and_then(|cause| cause.downcast_ref::<async_nats::jetstream::Error>());
    let Some(said) = said else {
        return match error.source().is_some_and(|cause| cause.is::<async_nats::subject::SubjectError>()) {
            true => PublishError::Refused(chain(error)),
            false => PublishError::Away(chain(error)),
        };
    };
    match said.error_code() {
        // The stream's bound, or the disk's, or the account's.
        ErrorCode::STREAM_STORE_FAILED | ErrorCode::INSUFFICIENT_RESOURCES => PublishError::Full,
        ErrorCode::STREAM_MESSAGE_EXCEEDS_MAXIMUM => PublishError::TooLarge,
        // No leader, JetStream not available for a moment.
        _ if said.code() >= 500 => PublishError::Away(said.to_string()),
        _ => PublishError::Refused(said.to_string()),
    }
}
