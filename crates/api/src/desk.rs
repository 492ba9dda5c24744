//! What the API asks of the rest of the house; the binary wires it in.

use std::collections::BTreeMap;
use std::error::Error;

use async_trait::async_trait;
use bytes::Bytes;
use contact::email::Attachment;
use contact::{Channel, Raw, SourceName, Suspect};
use serde::Serialize;
use timeline::DeadLetter;
use utoipa::ToSchema;

/// Everything beyond the store that a handler needs.
#[async_trait]
pub trait Desk: Send + Sync {
    /// The configured sources, in a stable order. Shown to every reader: a hook URL must not hold a
    /// secret.
    fn sources(&self) -> Vec<SourceInfo>;

    /// How the parts are. Answers within a second or so whatever is away, and says nothing secret:
    /// anybody who reaches the listener may read it.
    async fn health(&self) -> Health;

    /// The metrics in Prometheus' text format.
    fn metrics(&self) -> String;

    /// A new secret for a token: [`crate::token_secret`] over 32 random bytes.
    fn secret(&self) -> String;

    /// Sends a dead letter in again. Returns once it is as safe as when it first came; doing it twice
    /// is doing it once.
    async fn retry(&self, letter: &DeadLetter) -> Result<(), DeskError>;

    /// Takes a quarantined request in, as if it came now: verified again with today's secret, or, with
    /// `unverified`, believed as it is and marked so for ever. Returns once it is kept; the API takes it
    /// off the shelf after that.
    async fn release(&self, suspect: &Suspect, unverified: bool) -> Result<(), DeskError>;

    /// The bytes of a raw that is not inside its event; `None` when they are gone.
    async fn blob(&self, raw: &Raw) -> Result<Option<Bytes>, DeskError>;

    /// The file of this digest (64 lower-case hex digits) in the mail that this raw is, decoded, with what
    /// its sender says about it; `None` when the raw is gone or has no such file.
    async fn attachment(&self, raw: &Raw, sha256: &str) -> Result<Option<(Attachment, Bytes)>, DeskError>;

    /// Whether what is written to a client can leave by this source; otherwise why not, as a sentence for
    /// whoever wrote it.
    fn can_answer(&self, source: &SourceName) -> Result<(), String>;

    /// An act was committed, and the feed has come to this position: a hint to other processes, which may
    /// be late, twice or lost. This process's own feed is awake already. Does not wait.
    fn acted(&self, feed_position: i64);
}

/// One configured mailbox, line or widget.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Source)]
pub struct SourceInfo {
    /// `channel/name`.
    #[schema(value_type = String, example = "phone/main-line")]
    pub name: SourceName,
    /// The channel it belongs to.
    #[schema(schema_with = crate::words::channel)]
    pub channel: Channel,
    /// Who is on the other side of it.
    #[schema(example = "twilio")]
    pub provider: String,
    /// Where its webhooks go.
    #[schema(example = "https://desk.example/hooks/phone/main-line")]
    pub hook: Option<String>,
    /// Made by us because no source is configured.
    pub demo: bool,
}

/// How the parts of the house are.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Health {
    /// The journal accepts and the migrations are done: what arrives is kept.
    pub ready: bool,
    /// Whether "got it" can be said.
    pub journal: Condition,
    /// Whether events travel on; without it they wait in the journal.
    pub bus: Condition,
    /// Whether timelines can be read and written.
    pub store: Condition,
    /// The task of each connector.
    pub connectors: BTreeMap<String, Condition>,
    /// What is running: `frontdesk`, `nats-server` and so on.
    pub versions: BTreeMap<String, String>,
}

/// One part.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Condition {
    /// It does what it should.
    pub ok: bool,
    /// A few words for a person.
    #[schema(example = "accepting")]
    pub state: String,
}

/// Why the house did not do it.
#[derive(Debug, thiserror::Error)]
pub enum DeskError {
    /// It must not be done; the sentence is shown to the caller.
    #[error("{0}")]
    Refused(String),
    /// A part is away: nobody's fault, try again later.
    #[error("a part is away while we should {doing}")]
    Away {
        /// What was to be done.
        doing: &'static str,
        /// Why it was not.
        #[source]
        cause: Box<dyn Error + Send + Sync>,
    },
    /// It went wrong and will go wrong again.
    #[error("could not {doing}")]
    Failed {
        /// What was to be done.
        doing: &'static str,
        /// Why it was not.
        #[source]
        cause: Box<dyn Error + Send + Sync>,
    },
}
