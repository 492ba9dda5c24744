//! Who takes what the bus delivers.

use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;

/// What the consumer's deliveries are handed to. Everything may come more than once.
#[async_trait]
pub trait Handler: Send + Sync {
    /// Record these, all or nothing. `Ok` means committed: they are acked, and will not come again.
    async fn handle(&self, batch: &[Delivery]) -> Result<(), Failure>;

    /// Keep this one with its reason. It fails alone, repeatedly, while the store is healthy.
    /// `Ok` means kept: it is acked.
    async fn bury(&self, one: &Delivery, reason: &str) -> Result<(), Failure>;

    /// Is the store healthy? Asked before a failure is believed to be a message's own fault, and
    /// before pulling again after [`Failure::Away`].
    async fn probe(&self) -> bool;
}

/// Why a batch was not recorded. The kinds differ in what we do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The store is away: give everything back, pull nothing, try again when it is healthy.
    Away(String),
    /// Perhaps one message's fault: split, and find it.
    Poison(String),
}

/// One message, as delivered.
#[derive(Clone, PartialEq, Eq)]
pub struct Delivery {
    /// The subject it was published on.
    pub subject: String,
    /// The event, as published.
    pub payload: Bytes,
    /// Its place in its stream.
    pub stream_seq: u64,
    /// How often it has been delivered, this time included.
    pub delivered: u64,
}

impl fmt::Debug for Delivery {
    /// Without the payload, which holds people's addresses and words.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivery")
            .field("subject", &self.subject)
            .field("stream_seq", &self.stream_seq)
            .field("delivered", &self.delivered)
            .field("bytes", &self.payload.len())
            .finish()
    }
}
