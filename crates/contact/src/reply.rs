//! What became of an answer of ours.
//!
//! An agent's answer is an act ([`crate::act::Deed::Reply`]); bringing it to the client is tried by the
//! connector of its channel, and each try ends with one of these facts.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ids::EntryId;

/// How one try to deliver an answer ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplyChange {
    /// The answer: its entry on the timeline.
    pub reply: EntryId,
    /// Which try it was, from 1.
    pub attempt: u32,
    pub fate: ReplyFate,
    /// What the other side said, for a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The Message-ID it was sent under, without `<>`: what the client answers to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message_id: Option<String>,
}

/// How a try ended, or what was heard of it later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReplyFate {
    /// The other side refused it for now; it is tried again.
    Deferred,
    /// Nobody knows: the line broke after everything was said, or whoever tried it is gone.
    Uncertain,
    /// The other side refused it for good, or a report says that it did not arrive.
    Failed,
    /// The next server, or the visitor's thread, has it.
    Sent,
}

impl ReplyFate {
    pub fn as_str(self) -> &'static str {
        match self {
            ReplyFate::Deferred => "deferred",
            ReplyFate::Uncertain => "uncertain",
            ReplyFate::Failed => "failed",
            ReplyFate::Sent => "sent",
        }
    }
}

/// One try at bringing an answer to a client, as the connector of its channel gets it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    pub reply: EntryId,
    /// From 1.
    pub attempt: u32,
    /// When the agent wrote it.
    pub written_at: Timestamp,
    /// The address, or the visitor's `<name of the source>:<digest>`.
    pub to: String,
    /// What the client calls themselves, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Who answers, as the client may know them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    pub text: String,
    /// For a mail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thread: Option<MailThread>,
    /// For a chat: the number of the line within its chat.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seq: Option<i64>,
}

/// Where in a thread of mails an answer stands (RFC 5322 section 3.6.4). Ids are without `<>`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MailThread {
    /// Of the mail that is answered, as it came; the answer's is made of it.
    pub subject: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_reply_to: Option<String>,
    /// Oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub references: Vec<String>,
}
