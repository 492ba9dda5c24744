//! Small values with revisions: what several processes must agree on.
//!
//! A bucket is a JetStream key-value bucket (`nats kv get CURSORS …` reads it): of each key the last
//! message counts, and its place in the stream is the key's revision. Everything is asked of the
//! stream's leader, never of a copy that may be behind, because "there is none" is believed here.
//!
//! What is said holds as long as the broker keeps what it was given. One that lost its tail with the
//! power may forget the last two minutes: a cursor then goes back, which is harmless, and what was
//! taken once may be taken again.

use std::time::Duration;

use async_nats::jetstream::context::{self, PublishErrorKind};
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::stream::{LastRawMessageErrorKind, StorageType};
use async_nats::jetstream::{Context, ErrorCode, kv};
use bytes::Bytes;
use tokio::time::Instant;

use crate::backoff::Backoff;
use crate::conn::{Session, chain};
use crate::publish::Bus;

/// How far each source was read. Kept for ever: a cursor that ages away would be a mailbox read anew.
pub const CURSORS: Bucket = Bucket {
    name: "CURSORS",
    about: "How far each source was read.",
    max_age: Duration::ZERO,
    // One value for each mailbox: this is never reached.
    max_bytes: 16 << 20,
    max_value: 4096,
};

/// Which attempts were begun, so that exactly one process makes each.
pub const ATTEMPTS: Bucket = Bucket {
    name: "ATTEMPTS",
    about: "Which attempts were begun.",
    // Nobody tries what was due a week ago.
    max_age: Duration::from_secs(7 * 24 * 60 * 60),
    // About 700,000 attempts in that week. Full, none can be begun before the oldest have aged away.
    max_bytes: 128 << 20,
    max_value: NONCE,
};

/// Every bucket.
pub const BUCKETS: [&Bucket; 2] = [&CURSORS, &ATTEMPTS];

/// The longest key.
pub const MOST_KEY: usize = 200;
/// Who took something: this many random bytes.
const NONCE: usize = 16;
/// The header by which a revision is expected counts as a part of the value.
const HEADERS: usize = 512;
/// How long [`Kv::take_once`] tries to learn how it ended.
const PATIENCE: Duration = Duration::from_secs(10);
/// Written by whoever deletes a key by hand.
const OPERATION: &str = "KV-Operation";

/// A bucket of the table.
#[derive(Debug, PartialEq, Eq)]
pub struct Bucket {
    name: &'static str,
    about: &'static str,
    max_age: Duration,
    max_bytes: u64,
    max_value: usize,
}

impl Bucket {
    /// Its name on the broker.
    pub fn name(&self) -> &'static str {
        self.name
    }

    fn stream(&self) -> String {
        format!("KV_{}", self.name)
    }

    fn config(&self, replicas: usize) -> kv::Config {
        kv::Config {
            bucket: self.name.to_owned(),
            description: self.about.to_owned(),
            history: 1,
            max_age: self.max_age,
            max_bytes: i64::try_from(self.max_bytes).unwrap_or(i64::MAX),
            max_value_size: i32::try_from(self.max_value + HEADERS).unwrap_or(i32::MAX),
            storage: StorageType::File,
            num_replicas: replicas,
            ..Default::default()
        }
    }
}

/// The room the broker must grant to all buckets together.
pub(crate) fn reserved_bytes() -> u64 {
    BUCKETS.iter().map(|bucket| bucket.max_bytes).sum()
}

/// Makes the broker's bucket look like this one.
pub(crate) async fn declare(
    js: &Context,
    bucket: &Bucket,
    replicas: usize,
) -> Result<(), context::CreateKeyValueError> {
    js.create_or_update_key_value(bucket.config(replicas)).await.map(drop)
}

/// A value, and the revision by which it can be replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// As it was given.
    pub value: Bytes,
    /// Rises with every write to the bucket.
    pub revision: u64,
}

/// Why something could not be read or written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KvError {
    /// The key is not at the expected revision: somebody else wrote it.
    #[error("somebody else has written this key")]
    Moved,
    /// No connection, no answer, or no room. A write may have happened all the same.
    #[error("the bus is away: {0}")]
    Away(String),
    /// No key, or too large. Trying again will not help.
    #[error("the bus cannot keep this: {0}")]
    Refused(String),
}

/// One bucket, as its users see it. Cheap to clone.
#[derive(Clone)]
pub struct Kv {
    bus: Bus,
    bucket: &'static Bucket,
}

impl Bus {
    /// The values of `bucket`.
    pub fn kv(&self, bucket: &'static Bucket) -> Kv {
        Kv { bus: self.clone(), bucket }
    }
}

/// A key is 1 to 200 of `A–Z a–z 0–9 _ = - /`, with single dots between. Without a connection every
/// call fails at once, except [`Kv::take_once`]; no call takes longer than 20 s.
impl Kv {
    /// The value of the key; `None` when there is none.
    pub async fn get(&self, key: &str) -> Result<Option<Kept>, KvError> {
        let last = self.last(&self.subject(key)?).await?;
        Ok(last.filter(|last| !last.deleted).map(|last| last.kept))
    }

    /// Writes the key if there is none, and gives its revision.
    pub async fn create(&self, key: &str, value: Bytes) -> Result<u64, KvError> {
        let subject = self.subject(key)?;
        match self.write(&subject, value.clone(), 0).await {
            // A key that was deleted by hand leaves a marker, which may be written over.
            Err(KvError::Moved) => match self.last(&subject).await? {
                Some(last) if last.deleted => self.write(&subject, value, last.kept.revision).await,
                _ => Err(KvError::Moved),
            },
            done => done,
        }
    }

    /// Writes the key if it still has this revision, and gives the new one.
    pub async fn update(&self, key: &str, value: Bytes, revision: u64) -> Result<u64, KvError> {
        self.write(&self.subject(key)?, value, revision).await
    }

    /// True for exactly one caller of all processes as long as the bucket keeps the key.
    ///
    /// Waits up to 10 s for a broker that is away. After [`KvError::Away`] the key may be taken, and
    /// then by nobody: whoever counts on exactly one must not count on at least one.
    pub async fn take_once(&self, key: &str) -> Result<bool, KvError> {
        let mut nonce = [0; NONCE];
        #[expect(clippy::disallowed_methods, reason = "tells who took it, and is forgotten with it")]
        getrandom::fill(&mut nonce).map_err(|error| KvError::Refused(format!("no randomness: {error}")))?;
        let nonce = Bytes::copy_from_slice(&nonce);
        let deadline = Instant::now() + PATIENCE;
        let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(1));
        loop {
            let trouble = match tokio::time::timeout_at(deadline, self.take(key, &nonce)).await {
                Ok(Err(KvError::Away(reason))) => reason,
                Ok(done) => return done,
                Err(_) => "the broker does not answer".to_owned(),
            };
            let next = Instant::now() + backoff.wait();
            if next >= deadline || self.bus.stop.is_cancelled() {
                return Err(KvError::Away(trouble));
            }
            tokio::time::sleep_until(next).await;
        }
    }

    /// May be repeated: what an unanswered try of the same nonce took is recognised.
    async fn take(&self, key: &str, nonce: &Bytes) -> Result<bool, KvError> {
        match self.create(key, nonce.clone()).await {
            Ok(_) => Ok(true),
            Err(KvError::Moved) => match self.get(key).await? {
                Some(kept) => Ok(kept.value == *nonce),
                None => Err(KvError::Away("somebody is taking it right now".to_owned())),
            },
            Err(error) => Err(error),
        }
    }

    /// Whether the last word on a key is a value or a deletion.
    async fn last(&self, subject: &str) -> Result<Option<Last>, KvError> {
        let session = self.session()?;
        let asked = async {
            let stream = session.js.get_stream_no_info(self.bucket.stream()).await.map_err(|e| away(&e))?;
            Ok(stream.get_last_raw_message_by_subject(subject).await)
        };
        let answer = tokio::select! {
            biased;
            () = session.gone.cancelled() => return Err(not_connected()),
            answer = asked => answer?,
        };
        let message = match answer {
            Ok(message) => message,
            Err(error) => match error.kind() {
                LastRawMessageErrorKind::NoMessageFound => return Ok(None),
                LastRawMessageErrorKind::JetStream(said)
                    if said.error_code() == ErrorCode::STREAM_NOT_FOUND =>
                {
                    // Somebody removed what we declared: declare again.
                    session.condemn();
                    return Err(away(&error));
                }
                _ => return Err(away(&error)),
            },
        };
        let deleted = message.headers.get(OPERATION).is_some_and(|operation| operation.as_str() != "PUT");
        let kept = Kept { value: message.payload, revision: message.sequence };
        Ok(Some(Last { kept, deleted }))
    }

    async fn write(&self, subject: &str, value: Bytes, expected: u64) -> Result<u64, KvError> {
        if value.len() > self.bucket.max_value {
            let (size, most) = (value.len(), self.bucket.max_value);
            return Err(KvError::Refused(format!("{size} bytes; a value has at most {most}")));
        }
        let session = self.session()?;
        let message = PublishMessage::build().payload(value).expected_last_subject_sequence(expected);
        let written = async {
            session.js.send_publish(subject.to_owned(), message).await?.await.map(|ack| ack.sequence)
        };
        let revision = tokio::select! {
            biased;
            () = session.gone.cancelled() => return Err(not_connected()),
            written = written => written.map_err(|error| reading(&session, &error))?,
        };
        // Checked last: an answer from before a disconnect must not be believed after it.
        if !self.bus.conn.still(session.generation) {
            return Err(not_connected());
        }
        Ok(revision)
    }

    fn session(&self) -> Result<Session, KvError> {
        self.bus.conn.session().ok_or_else(not_connected)
    }

    fn subject(&self, key: &str) -> Result<String, KvError> {
        let token = |token: &str| {
            !token.is_empty() && token.bytes().all(|b| b.is_ascii_alphanumeric() || b"_=-/".contains(&b))
        };
        match key.len() <= MOST_KEY && key.split('.').all(token) {
            true => Ok(format!("$KV.{}.{key}", self.bucket.name)),
            false => Err(KvError::Refused(format!("{key:?} is no key"))),
        }
    }
}

/// The last message of a key.
struct Last {
    kept: Kept,
    deleted: bool,
}

fn away(error: &dyn std::error::Error) -> KvError {
    KvError::Away(chain(error))
}

fn not_connected() -> KvError {
    KvError::Away("not connected".to_owned())
}

/// What a failed write means to us.
fn reading(session: &Session, error: &context::PublishError) -> KvError {
    match error.kind() {
        PublishErrorKind::WrongLastSequence => return KvError::Moved,
        // Somebody removed what we declared, or JetStream is off: declare again.
        PublishErrorKind::StreamNotFound => session.condemn(),
        _ => {}
    }
    let said = std::error::Error::source(error)
        .and_then(|cause| cause.downcast_ref::<async_nats::jetstream::Error>())
        .map(async_nats::jetstream::Error::error_code);
    match said {
        // In a cluster: another write to this key is on its way through the copies.
        Some(ErrorCode::STREAM_WRONG_LAST_SEQUENCE_CONSTANT) => KvError::Moved,
        Some(ErrorCode::STREAM_MESSAGE_EXCEEDS_MAXIMUM) => KvError::Refused(chain(error)),
        Some(ErrorCode::STREAM_STORE_FAILED | ErrorCode::INSUFFICIENT_RESOURCES) => {
            KvError::Away("the bucket is full".to_owned())
        }
        _ => away(error),
    }
}
