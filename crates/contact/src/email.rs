//! What one mail says.
//!
//! A mail is one fact and one contact. Who sent it and to whom is on the event; here is the rest. Every
//! text is fit to be kept and shown as it is: no NUL, no other control characters but line ends and
//! tabs, line ends as `\n`, bounded; what was left out for its size is named in [`Email::cut`], and the
//! raw has everything.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::identifier::Party;

/// A mail, read.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Email {
    /// The sender's id for it, without `<>`. Free text of a stranger: unique only together with a
    /// digest, as the event's subject has it.
    pub message_id: Option<String>,
    /// The mail it says it answers.
    pub in_reply_to: Option<String>,
    /// The thread it says it belongs to, oldest first; of a long one the beginning and the end.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub references: Vec<String>,
    /// On one line; empty when there is none.
    pub subject: String,
    /// What the sender wrote this time: without the trailing quote and the signature. Everything, where
    /// nothing else would be left.
    pub text: String,
    /// What was quoted or forwarded below, as text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quoted: Option<String>,
    /// The signature, as text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
    /// Who wrote what is forwarded, where the forwarding says so. Claimed, never more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forwarded_from: Option<String>,
    /// The whole as HTML, sanitised: no script, no style, no picture but those attached (`cid:`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub html: Option<String>,
    /// What the From address is by its name: a person's, a shared one, a robot's.
    #[serde(default)]
    pub sender: Sender,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cc: Vec<Party>,
    /// Where the sender wants the answer; a wish, not an identity.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reply_to: Vec<Party>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attachments: Vec<Attachment>,
    /// The Date header: the sender's claim, shown and never believed.
    pub sent_at: Option<Timestamp>,
    /// Set when a machine wrote it: recorded in the quiet lane, never answered, never queued.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub automatic: Option<Automatic>,
    /// It was in the mailbox before we were: nobody waits for an answer to it here.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub imported: bool,
    /// Its subject reads like an automatic answer, though no header says so. A hint, nothing decides on it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub looks_automatic: bool,
    /// What a report about a mail of ours says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report: Option<Report>,
    /// What our own mail server found out about the sender; `None` when it did not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authentication: Option<Authentication>,
    /// What was left out because it was too large.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cut: Vec<Cut>,
}

impl Email {
    /// Whether our own server proved that the From address sent it.
    pub fn from_is_proved(&self) -> bool {
        self.authentication.as_ref().is_some_and(|told| told.proves_from)
    }
}

/// What an address is, judged by its local part alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sender {
    /// Nothing speaks against a person.
    #[default]
    Person,
    /// `info@`, `sales@`: a point of contact with several people behind it.
    Shared,
    /// `noreply@`, `mailer-daemon@`: nobody reads it.
    Robot,
}

/// A file that came with a mail. Its bytes lie beside the event, under their digest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attachment {
    /// The last part of the name the sender gave, without anything that could mislead an eye or a file
    /// system; `None` when there was none.
    pub name: Option<String>,
    /// As the sender labelled it: a claim.
    pub media_type: String,
    /// In bytes, decoded.
    pub size: u64,
    /// Lower-case hex, of the decoded bytes.
    pub sha256: String,
    /// What `cid:` in the HTML points at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_id: Option<String>,
    /// Meant to be seen within the text.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub inline: bool,
}

/// That a machine wrote it, and how we know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Automatic {
    pub kind: AutomaticKind,
    /// The header or the rule that says so, for a person's eyes.
    pub reason: String,
}

/// The kinds of mail that machines write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AutomaticKind {
    /// A report that a mail of ours was not, or not yet, delivered; see [`Report`].
    Bounce,
    /// A report that a mail of ours was delivered.
    Delivered,
    /// A read receipt.
    Receipt,
    /// The recipient called a mail of ours spam: do not write again.
    Complaint,
    /// From an address of ours, or marked by us.
    Own,
    /// An absence note or another answer nobody wrote.
    AutoReply,
    /// A list, a newsletter, an advertisement.
    Bulk,
    /// Anything else a program sent.
    Notice,
}

/// What a mail system reports about a mail of ours.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub recipients: Vec<Recipient>,
    /// The mail it is about, without `<>`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub original_message_id: Option<String>,
}

/// What became of a mail at one recipient.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recipient {
    /// In canonical form where it is an address, else as told.
    pub address: String,
    pub fate: Fate,
    /// Enhanced status (RFC 3463), as `5.1.1`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// What the other server said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub diagnostic: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// It will not arrive; the same address will fail again.
    Failed,
    /// It will not arrive, for a reason that may pass (a full mailbox, an unreachable server).
    FailedForNow,
    /// Not yet; the other side goes on trying.
    Delayed,
    Delivered,
}

/// The results in the `Authentication-Results` of our own server (RFC 8601).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Authentication {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dmarc: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dkim: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spf: Option<String>,
    /// DMARC passed for the domain of the one From address.
    pub proves_from: bool,
}

/// What was left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cut {
    Headers,
    Parts,
    Text,
    Quoted,
    Html,
    Recipients,
    Attachments,
    References,
}
