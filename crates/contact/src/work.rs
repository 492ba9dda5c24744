//! Work: to whom a conversation goes, how urgent it is, what is promised, and who is there.
//!
//! These are the words in which decisions and acts about it stand in the log.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::event::Channel;

/// The most urgent; the least is 0.
pub const TOP_PRIORITY: u8 = 100;

/// How urgent, from 0 to [`TOP_PRIORITY`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Priority(u8);

impl Priority {
    /// Where no rule says anything.
    pub const USUAL: Priority = Priority(50);

    /// The nearest priority there is.
    pub fn clamped(points: i32) -> Priority {
        Priority(u8::try_from(points.clamp(0, i32::from(TOP_PRIORITY))).unwrap_or(TOP_PRIORITY))
    }

    pub fn get(self) -> u8 {
        self.0
    }
}

impl fmt::Display for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// What may be promised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PromiseKind {
    /// The first answer of a conversation.
    FirstResponse,
    /// An answer to what the client said after an answer. Its clock starts at the oldest unanswered contact.
    NextResponse,
    /// Reaching a client whose call we missed; any channel will do.
    Callback,
}

impl PromiseKind {
    pub const ALL: [PromiseKind; 3] =
        [PromiseKind::FirstResponse, PromiseKind::NextResponse, PromiseKind::Callback];

    pub fn as_str(self) -> &'static str {
        match self {
            PromiseKind::FirstResponse => "first_response",
            PromiseKind::NextResponse => "next_response",
            PromiseKind::Callback => "callback",
        }
    }
}

/// What is promised.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    pub within_s: u32,
    /// Whose hours count; without one, all hours do. They also do for a name that is not configured any more:
    /// rather too early than never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calendar: Option<String>,
    /// At this share of the time a warning is due; more than 100 is 100.
    #[serde(default = "Target::usual_warning")]
    pub warn_percent: u8,
}

impl Target {
    /// A warning at four fifths of the time.
    pub fn usual_warning() -> u8 {
        80
    }
}

/// What was decided about a new conversation, and why. Kept with it, so that a replay needs no rules.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// `None`: no rule matched.
    pub rule: Option<String>,
    /// Which rules were in force: equal configurations have the same.
    pub version: String,
    pub queue: String,
    pub priority: Priority,
    pub skills: BTreeSet<String>,
    pub promises: BTreeMap<PromiseKind, Target>,
    /// Sentences for a person. They name rules and segments, and nothing a client wrote.
    pub reasons: Vec<String>,
    /// Rules that were asked before and gave no answer.
    pub failed: Vec<FailedRule>,
    /// The seconds of waiting that are worth a point of priority.
    pub point_s: u32,
}

/// The seconds of waiting that are worth a point, where nobody says anything: ten points are five minutes, and
/// the most urgent passes nobody who came fifty minutes earlier.
pub const USUAL_POINT_S: u32 = 30;
/// The queue of what no rule sends elsewhere.
pub const USUAL_QUEUE: &str = "default";

impl Decision {
    /// Whether the conversation goes the same way, whichever rule said so.
    pub fn does_the_same(&self, other: &Decision) -> bool {
        let way = |decision: &Decision| (decision.queue.clone(), decision.priority, decision.skills.clone());
        way(self) == way(other) && self.promises == other.promises
    }

    /// What holds where nothing is configured.
    pub fn usual(version: &str) -> Decision {
        let (skills, promises, reasons, failed) = Default::default();
        Decision {
            rule: None,
            version: version.to_owned(),
            queue: USUAL_QUEUE.to_owned(),
            priority: Priority::USUAL,
            skills,
            promises,
            reasons,
            failed,
            point_s: USUAL_POINT_S,
        }
    }

    /// It is what holds where nothing is configured, so that it need not be kept.
    pub fn is_usual(&self) -> bool {
        self.rule.is_none()
            && self.failed.is_empty()
            && self.queue == USUAL_QUEUE
            && self.priority == Priority::USUAL
            && self.skills.is_empty()
            && self.promises.is_empty()
            && self.point_s == USUAL_POINT_S
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedRule {
    pub rule: String,
    pub reason: String,
}

/// When a promise warns and when it is due, by the calendars of the moment it was reckoned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deadline {
    pub promise: PromiseKind,
    /// `None` of both: it is paused, or its calendar never opens.
    pub warn_at: Option<Timestamp>,
    /// The first moment that is too late.
    pub due_at: Option<Timestamp>,
}

/// What happens to a promise by itself, once each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Notice {
    Warned,
    Breached,
}

impl Notice {
    pub fn as_str(self) -> &'static str {
        match self {
            Notice::Warned => "warned",
            Notice::Breached => "breached",
        }
    }
}

/// How an offer ended that nobody accepted or declined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OfferEnd {
    TimedOut,
    /// The agent is not to be asked any more, or nobody is needed.
    Rescinded,
}

/// What an agent can take.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Profile {
    pub queues: BTreeSet<String>,
    pub skills: BTreeSet<String>,
    /// How many conversations of a channel at once, offers included. A channel that is not named is none.
    pub capacity: BTreeMap<Channel, u16>,
    /// Their telephones, as the phone system names them: a ringing call shows them its client.
    pub extensions: BTreeSet<String>,
}

/// What an agent says about themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Presence {
    Available,
    /// Here, and not to be offered anything: a break, the end of a shift. What they have stays theirs.
    Away,
    /// Gone home; what they have returns after the grace.
    Offline,
}

impl Presence {
    pub fn as_str(self) -> &'static str {
        match self {
            Presence::Available => "available",
            Presence::Away => "away",
            Presence::Offline => "offline",
        }
    }
}
