//! What one phone system's file has to say: how its requests prove themselves, what they mean, and what
//! it wants to hear.
//!
//! To add a system: a file under `providers/`, its name in [`ALL`], samples under `fixtures/`.

use std::fmt;

use contact::{CallChange, Direction, RawBytes, Unreadable};
use jiff::Timestamp;

use crate::config::{Line, Problem};
use crate::providers::twilio::Twilio;
use crate::request::Evidence;

/// Every system we know.
pub const ALL: [&dyn Provider; 1] = [&Twilio];

/// The system of that name.
pub fn by_name(name: &str) -> Option<&'static dyn Provider> {
    ALL.into_iter().find(|provider| provider.name() == name)
}

/// One phone system.
pub trait Provider: fmt::Debug + Send + Sync {
    /// As it is written in the configuration.
    fn name(&self) -> &'static str;

    /// What this system's section lacks beyond what every section needs.
    fn check(&self, line: &Line) -> Vec<Problem>;

    /// Whether the request is the system's own: by a signature over URL, headers, body, by a token, by
    /// an account id. Compares in constant time. The secret part of the path, for systems that sign
    /// nothing, was compared before.
    ///
    /// # Errors
    /// When it is not proved.
    fn verify(&self, line: &Line, evidence: &Evidence<'_>) -> Result<(), Forged>;

    /// What a request says. A pure function of the line and what arrived (the body, or the query of a
    /// request without one), so that it can be run again years later.
    ///
    /// # Errors
    /// When it cannot be understood; it is then kept as a dead letter.
    fn read(&self, line: &Line, raw: &RawBytes) -> Result<Read, Unreadable>;
}

/// A request that did not prove itself.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Forged(pub &'static str);

/// A request, understood.
#[derive(Clone, Debug, PartialEq)]
pub struct Read {
    /// At least one: what is told "got it" is kept.
    pub facts: Vec<Fact>,
    /// What the system wants to hear once they are kept.
    pub answer: Answer,
}

/// One fact in our words, but with numbers spelt the system's way.
#[derive(Clone, Debug, PartialEq)]
pub struct Fact {
    /// The system's id of the call; facts with one id belong to one contact.
    pub call: String,
    /// The system's id of what this fact is about: the call, a leg of it, a recording.
    pub id: String,
    /// What it tells of it, as part of the event's id: `ringing`, `dial-no-answer`.
    pub kind: String,
    /// 8 hex digits over the canonical content, see [`contact::content_digest`].
    pub digest: String,
    pub direction: Direction,
    /// `None` where the request does not say at all.
    pub from: Option<Number>,
    pub to: Vec<Number>,
    /// When it happened, where the request says so.
    pub at: Option<Timestamp>,
    pub change: CallChange,
}

/// A number as the system wrote it, with the name it shows beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Number {
    pub raw: String,
    pub name: Option<String>,
}

/// What a system wants to hear. A wrong answer can misroute a live call or switch off delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// 204 without a body.
    Nothing,
    /// 200 with this body.
    Document { media_type: &'static str, body: &'static str },
}
