//! What the door needs of a broker. Nothing it says is believed longer than its link lasts.

use async_trait::async_trait;
use bytes::Bytes;
use futures::future::BoxFuture;

/// The broker's word that it has a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Its number in the stream.
    pub seq: u64,
    /// When the stream was created: tells one incarnation from the next.
    pub stream_created: i64,
}

/// How far core has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Floor {
    /// Everything up to this number is committed by core. Must be read *before* `last`.
    pub acked: u64,
    /// The last number the stream has given.
    pub last: u64,
    pub stream_created: i64,
}

/// Whether there is a broker at the other end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Link {
    pub connected: bool,
    /// Rises at every disconnect.
    pub generation: u64,
}

/// Why a publish did not succeed. It may have arrived all the same.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// Nobody answered.
    #[error("the broker is away")]
    Away,
    /// The stream has reached its bound.
    #[error("the stream is full")]
    Full,
    /// This one, and for a reason of its own: too large, no such subject.
    #[error("the broker refused it: {0}")]
    Refused(String),
}

/// What the publisher needs of a broker.
#[async_trait]
pub trait Broker: Send + Sync + 'static {
    /// Sends it and gives the broker's answer. The futures of many are polled together; they may be sent
    /// in any order, and one that is dropped may have been sent.
    fn publish(&self, subject: &str, body: Bytes) -> BoxFuture<'static, Result<Receipt, PublishError>>;
    /// How far core has come.
    async fn floor(&self) -> Result<Floor, PublishError>;
    /// The state of the link, now. Its generation must rise before anything said on a newer connection
    /// is answered.
    fn link(&self) -> Link;
    /// Returns once [`Broker::link`] is not, or no longer, `known`.
    async fn link_changed(&self, known: Link);
}
