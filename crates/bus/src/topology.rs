//! What exists on the broker: one table of streams and consumers, with the reason of each number. The
//! buckets have theirs in [`kv`].
//!
//! Whoever connects makes the broker look like this table before anything is published or pulled.
//! Configurations are always sent whole, because the server resets what is left out.

use std::collections::BTreeMap;
use std::time::Duration;

use async_nats::jetstream::Context;
use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, pull};
use async_nats::jetstream::context::ConsumerInfoErrorKind;
use async_nats::jetstream::stream::{self, DiscardPolicy, RetentionPolicy, StorageType};
use tracing::warn;

use crate::{kv, names};

/// Contacts, as they happen.
pub const CONTACTS: Stream = Stream {
    name: "CONTACTS",
    subjects: "contact.v1.>",
    // A week of history lets a core with a lost database be filled again without the journals.
    max_age: Duration::from_secs(7 * DAY),
    bytes: Bytes::Configured,
};

/// Imports and backfill: the same events, in a lane that may wait.
pub const IMPORTS: Stream = Stream {
    name: "IMPORTS",
    subjects: "import.v1.>",
    max_age: Duration::from_secs(7 * DAY),
    bytes: Bytes::Configured,
};

/// Requests whose signature failed, until the core has put them aside for an admin to see.
pub const QUARANTINE: Stream = Stream {
    name: "QUARANTINE",
    subjects: "quarantine.v1.>",
    max_age: Duration::from_secs(7 * DAY),
    // Anybody can fill it, so it must never take room from the contacts.
    bytes: Bytes::Fixed(64 << 20),
};

/// Tries at bringing answers to clients, on their way to the connector that owns the channel.
pub const REPLIES: Stream = Stream {
    name: "REPLIES",
    subjects: "reply.v1.>",
    max_age: Duration::from_secs(7 * DAY),
    // The store knows every answer that is due; here are only those handed out.
    bytes: Bytes::Fixed(64 << 20),
};

/// The core's consumer of [`CONTACTS`]. Its ack floor is what retires a record from a journal.
pub const RECORDER: Consumer = Consumer { name: "recorder", stream: &CONTACTS, filter: "" };
/// The core's consumer of [`IMPORTS`].
pub const IMPORTER: Consumer = Consumer { name: "importer", stream: &IMPORTS, filter: "" };
/// The core's consumer of [`QUARANTINE`].
pub const QUARANTINED: Consumer = Consumer { name: "quarantine", stream: &QUARANTINE, filter: "" };
/// The consumer of [`REPLIES`] of everybody who sends mails.
pub const MAIL_COURIER: Consumer =
    Consumer { name: "courier-email", stream: &REPLIES, filter: "reply.v1.email.>" };
/// The consumer of [`REPLIES`] of everybody who has visitors.
pub const CHAT_COURIER: Consumer =
    Consumer { name: "courier-chat", stream: &REPLIES, filter: "reply.v1.chat.>" };

/// Every stream.
pub const STREAMS: [&Stream; 4] = [&CONTACTS, &IMPORTS, &QUARANTINE, &REPLIES];
/// Every consumer.
pub const CONSUMERS: [&Consumer; 5] = [&RECORDER, &IMPORTER, &QUARANTINED, &MAIL_COURIER, &CHAT_COURIER];

/// What a killed recorder had in hand comes again after this. Batches take milliseconds; one that takes
/// longer says so in time with progress acks.
pub(crate) const ACK_WAIT: Duration = Duration::from_secs(10);
/// Four full batches: one being decided, one acked, two on their way. At the bound the broker
/// delivers nothing more until something is acked.
const MAX_ACK_PENDING: i64 = 4 * 512;
/// Deduplication by the broker costs 210 MB per million ids; the unique index of the log does it
/// for ever. This is the shortest window the server takes.
const DUPLICATE_WINDOW: Duration = Duration::from_millis(100);
const DAY: u64 = 24 * 60 * 60;

/// The subject of hints that the feed has grown. Core NATS: nothing is kept.
pub(crate) const HINTS: &str = "hint.v1.feed";
/// The subject of signs of life about chats. Core NATS: nothing is kept.
pub(crate) const SIGNALS: &str = "live.v1.chat";

/// A stream of the table.
#[derive(Debug, PartialEq, Eq)]
pub struct Stream {
    name: &'static str,
    subjects: &'static str,
    max_age: Duration,
    bytes: Bytes,
}

/// A durable pull consumer of the table.
#[derive(Debug, PartialEq, Eq)]
pub struct Consumer {
    name: &'static str,
    stream: &'static Stream,
    /// The subjects it is given; empty: all of the stream.
    filter: &'static str,
}

/// How large a stream may become. At the bound it refuses new messages (back-pressure into the
/// journals) and never drops old ones.
#[derive(Debug, PartialEq, Eq)]
enum Bytes {
    Configured,
    Fixed(u64),
}

impl Stream {
    /// Its name on the broker.
    pub fn name(&self) -> &'static str {
        self.name
    }

    fn max_bytes(&self, configured: u64) -> u64 {
        match self.bytes {
            Bytes::Configured => configured,
            Bytes::Fixed(bytes) => bytes,
        }
    }

    fn config(&self, size: &Size) -> stream::Config {
        stream::Config {
            name: self.name.to_owned(),
            subjects: vec![self.subjects.to_owned()],
            retention: RetentionPolicy::Limits,
            // The default policy would silently delete the oldest contacts.
            discard: DiscardPolicy::New,
            max_bytes: i64::try_from(self.max_bytes(size.max_bytes)).unwrap_or(i64::MAX),
            max_messages: -1,
            max_messages_per_subject: -1,
            max_message_size: -1,
            max_consumers: -1,
            max_age: self.max_age,
            storage: StorageType::File,
            num_replicas: size.replicas,
            duplicate_window: DUPLICATE_WINDOW,
            ..Default::default()
        }
    }
}

impl Consumer {
    /// Its name on the broker.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The stream it reads.
    pub fn stream(&self) -> &'static Stream {
        self.stream
    }

    fn config(&self) -> pull::Config {
        pull::Config {
            durable_name: Some(self.name.to_owned()),
            deliver_policy: DeliverPolicy::All,
            filter_subject: self.filter.to_owned(),
            ack_policy: AckPolicy::Explicit,
            ack_wait: ACK_WAIT,
            // Never given up by the broker: only the core decides that a message is a dead letter.
            max_deliver: -1,
            max_ack_pending: MAX_ACK_PENDING,
            ..Default::default()
        }
    }
}

/// The subject of a live contact. Both parts are names (`[a-z][a-z0-9-]*`), so NATS tokens.
pub fn contact_subject(channel: &str, source_name: &str) -> String {
    format!("contact.v1.{channel}.{source_name}")
}

/// The subject of an imported contact.
pub fn import_subject(channel: &str, source_name: &str) -> String {
    format!("import.v1.{channel}.{source_name}")
}

/// The subject of a request that is not trusted.
pub fn quarantine_subject(channel: &str, source_name: &str) -> String {
    format!("quarantine.v1.{channel}.{source_name}")
}

/// The subject of a try at bringing an answer to a client.
pub fn reply_subject(channel: &str, source_name: &str) -> String {
    format!("reply.v1.{channel}.{source_name}")
}

/// Whether one of our streams takes this subject.
pub(crate) fn covers(subject: &str) -> bool {
    STREAMS.iter().any(|stream| {
        let prefix = stream.subjects.strip_suffix('>').unwrap_or(stream.subjects);
        subject.strip_prefix(prefix).is_some_and(|rest| !rest.is_empty())
    })
}

/// The room the broker must grant to all streams and buckets together; it reserves it when they are made.
pub fn reserved_bytes(max_bytes: u64) -> u64 {
    STREAMS.iter().map(|stream| stream.max_bytes(max_bytes)).sum::<u64>() + kv::reserved_bytes()
}

/// What of the table comes from configuration.
#[derive(Clone, Debug)]
pub(crate) struct Size {
    pub(crate) max_bytes: u64,
    pub(crate) replicas: usize,
}

/// When each stream was created, in Unix microseconds: which incarnation its sequences belong to.
pub(crate) type Created = BTreeMap<&'static str, i64>;

/// Why the broker could not be made to look like the table.
#[derive(Debug, thiserror::Error)]
#[error("could not {doing}")]
pub(crate) struct EnsureError {
    doing: String,
    #[source]
    cause: Box<dyn std::error::Error + Send + Sync>,
}

fn failed<E: std::error::Error + Send + Sync + 'static>(doing: String) -> impl FnOnce(E) -> EnsureError {
    move |cause| EnsureError { doing, cause: Box::new(cause) }
}

/// Makes the broker look like the table, and heals consumers whose stream has rolled back.
pub(crate) async fn ensure(js: &Context, size: &Size) -> Result<Created, EnsureError> {
    let mut created = Created::new();
    for stream in STREAMS {
        let info = js
            .create_or_update_stream(stream.config(size))
            .await
            .map_err(failed(format!("declare stream {}", stream.name)))?;
        created.insert(stream.name, micros(info.created));
    }
    for consumer in CONSUMERS {
        ensure_consumer(js, consumer).await?;
    }
    for bucket in kv::BUCKETS {
        let declared = kv::declare(js, bucket, size.replicas).await;
        declared.map_err(failed(format!("declare bucket {}", bucket.name())))?;
    }
    Ok(created)
}

async fn ensure_consumer(js: &Context, consumer: &Consumer) -> Result<(), EnsureError> {
    let (name, stream) = (consumer.name, consumer.stream.name);
    let handle = js.get_stream_no_info(stream).await.map_err(failed(format!("open stream {stream}")))?;
    // The consumer before the stream: the stream only grows, so a consumer ahead of it is no race.
    let reached = match handle.consumer_info(name).await {
        Ok(info) => reached(&info),
        Err(error) if error.kind() == ConsumerInfoErrorKind::NotFound => 0,
        Err(error) => return Err(failed(format!("read the state of consumer {name}"))(error)),
    };
    let state = handle.get_info().await.map_err(failed(format!("read the state of stream {stream}")))?.state;
    if reached > state.last_sequence {
        // The broker has lost its tail (power, a restored disk): new messages will take sequences
        // this consumer believes to have acked, and it would skip them. Servers that notice this
        // by themselves never get here. Doing all again is harmless.
        warn!(
            consumer.name = name,
            consumer.reached = reached,
            stream.last = state.last_sequence,
            "stream {stream} has rolled back behind its consumer {name}, which starts over"
        );
        handle.delete_consumer(name).await.map_err(failed(format!("delete consumer {name}")))?;
        metrics::counter!(names::HEALED, "consumer" => name).increment(1);
    }
    handle.create_consumer(consumer.config()).await.map_err(failed(format!("declare consumer {name}")))?;
    Ok(())
}

/// The highest stream sequence the consumer believes to have seen.
fn reached(info: &async_nats::jetstream::consumer::Info) -> u64 {
    info.ack_floor.stream_sequence.max(info.delivered.stream_sequence)
}

pub(crate) fn micros(at: async_nats::datetime::DateTime) -> i64 {
    i64::try_from(at.unix_timestamp_nanos() / 1000).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects_belong_to_their_streams() {
        for (subject, stream) in [
            (contact_subject("phone", "main-line"), &CONTACTS),
            (import_subject("email", "support"), &IMPORTS),
            (quarantine_subject("phone", "main-line"), &QUARANTINE),
            (reply_subject("email", "support"), &REPLIES),
        ] {
            let prefix = stream.subjects.strip_suffix('>').unwrap();
            assert!(subject.starts_with(prefix), "{subject} is not in {}", stream.name);
            assert!(covers(&subject));
        }
        assert!(!covers("contact.v1.") && !covers("contact.v2.phone.x") && !covers(HINTS));
        assert_eq!(contact_subject("phone", "main-line"), "contact.v1.phone.main-line");
    }

    #[test]
    fn the_reserved_room_is_the_sum_of_the_bounds() {
        assert_eq!(reserved_bytes(1 << 30), (2 << 30) + (128 << 20) + (144 << 20));
    }
}
