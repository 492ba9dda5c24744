//! What one fact says about a telephone call.
//!
//! A provider's request becomes one [`CallChange`]; folding them into the call they are about, in any
//! order and any number of times, is `timeline`'s business.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// One fact about one call. Everything is optional that a single request may not know.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CallChange {
    /// How far the call had come; `None` where the fact does not tell (a late recording).
    pub state: Option<CallState>,
    /// How it went, where this fact tells.
    pub outcome: Option<Outcome>,
    /// What the outcome was observed on: the caller's line, or a person's telephone.
    #[serde(default)]
    pub basis: Basis,
    /// Seconds from the first ring to the answer or the end, where the provider says so.
    pub rang_s: Option<u32>,
    /// Seconds of talk.
    pub talked_s: Option<u32>,
    /// The extension or agent whose telephone it was.
    pub extension: Option<String>,
    pub recording: Option<Recording>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transcript: Option<Transcript>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallState {
    Ringing,
    Answered,
    Ended,
}

/// How a call went. For inbound calls everything that is not answered is `missed` or `voicemail`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Answered,
    Voicemail,
    Missed,
    /// Outbound only, as are the next three.
    Busy,
    NoAnswer,
    Failed,
    Canceled,
}

impl Outcome {
    pub fn as_str(self) -> &'static str {
        match self {
            Outcome::Answered => "answered",
            Outcome::Voicemail => "voicemail",
            Outcome::Missed => "missed",
            Outcome::Busy => "busy",
            Outcome::NoAnswer => "no_answer",
            Outcome::Failed => "failed",
            Outcome::Canceled => "canceled",
        }
    }
}

/// On which leg something was observed. A line that was "answered" may have been answered by a menu,
/// a queue or a machine; a person's telephone that was answered was answered by the person.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    #[default]
    Line,
    Person,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Recording {
    /// The provider's id; the same recording told twice is one.
    pub id: String,
    pub kind: RecordingKind,
    /// Where the provider keeps it. Untrusted: never fetched without an allow-list of hosts.
    pub url: Option<String>,
    pub seconds: Option<u32>,
    pub started_at: Option<Timestamp>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecordingKind {
    /// Of the talk.
    Talk,
    /// Left by a caller whom nobody answered.
    Voicemail,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Transcript {
    pub id: String,
    /// The recording it was made from.
    pub recording: Option<String>,
    pub text: String,
}
