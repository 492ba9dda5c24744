//! An answer of ours: what is tried when, and how it is shown.
//!
//! Facts about it come once each, though in any order; a try is known by its number.

use contact::{Event, Order, ReplyChange, ReplyFate};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use crate::model::{Reply, ReplyState};

/// How long after each try that was refused for now the next one comes: two days in all, as mail servers
/// do (RFC 5321 section 4.5.4.1 asks for at least four to five days of a relay; a person who waits for an
/// answer is better served by knowing sooner).
const LADDER: [SignedDuration; 9] = [
    SignedDuration::from_mins(1),
    SignedDuration::from_mins(5),
    SignedDuration::from_mins(15),
    SignedDuration::from_hours(1),
    SignedDuration::from_hours(3),
    SignedDuration::from_hours(6),
    SignedDuration::from_hours(12),
    SignedDuration::from_hours(12),
    SignedDuration::from_hours(12),
];
/// A try that ended in doubt is followed by one more, when whatever was recorded of it has surely arrived;
/// a second doubt is the last.
const AFTER_DOUBT: SignedDuration = SignedDuration::from_mins(15);
const MOST_DOUBTS: u32 = 1;
/// A line of ours in a chat that was not read for so long goes by mail, where it can.
pub const UNREAD: SignedDuration = SignedDuration::from_mins(10);

impl Reply {
    /// Adds what became of one try. Gives whether anything changed.
    pub fn fold(&mut self, event: &Event, change: &ReplyChange) -> bool {
        // Accepted is accepted, whatever else is heard of other tries; what is said later about the
        // accepted mail itself (it bounced) counts.
        if self.state == ReplyState::Sent && change.fate != ReplyFate::Failed {
            return false;
        }
        if change.attempt <= self.attempts && change.fate != ReplyFate::Sent && change.fate != ReplyFate::Failed {
            return false;
        }
        let at = event.occurred_at;
        self.attempts = self.attempts.max(change.attempt);
        if change.message_id.is_some() {
            self.message_id.clone_from(&change.message_id);
        }
        self.detail.clone_from(&change.detail);
        (self.state, self.due_at) = match change.fate {
            ReplyFate::Sent => (ReplyState::Sent, self.order.seq.map(|_| at + UNREAD)),
            ReplyFate::Failed => (ReplyState::Failed, None),
            ReplyFate::Deferred => match rung(self.attempts) {
                Some(pause) => (ReplyState::Deferred, Some(at + pause)),
                None => (ReplyState::Failed, None),
            },
            ReplyFate::Uncertain => {
                self.doubts += 1;
                if self.doubts <= MOST_DOUBTS {
                    (ReplyState::Uncertain, Some(at + AFTER_DOUBT))
                } else {
                    (ReplyState::Uncertain, None)
                }
            }
        };
        true
    }

    /// The next try, as its connector gets it.
    pub fn next_order(&self) -> Order {
        Order { attempt: self.attempts + 1, ..self.order.clone() }
    }

    /// The `content` of its entry.
    pub fn content(&self) -> ReplyContent<'_> {
        ReplyContent {
            text: &self.order.text,
            to: &self.order.to,
            subject: self.order.thread.as_ref().map(|thread| thread.subject.as_str()),
            seq: self.order.seq,
            state: self.state,
            attempts: self.attempts,
            next_try_at: self.due_at.filter(|_| self.state != ReplyState::Sent),
            detail: self.detail.as_deref(),
            message_id: self.message_id.as_deref(),
            instead_of: self.instead_of.map(|id| id.to_string()),
        }
    }
}

fn rung(attempts: u32) -> Option<SignedDuration> {
    LADDER.get(usize::try_from(attempts).ok()?.checked_sub(1)?).copied()
}

/// An answer as the timeline shows it.
#[derive(Debug, Serialize)]
pub struct ReplyContent<'a> {
    pub text: &'a str,
    pub to: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seq: Option<i64>,
    pub state: ReplyState,
    pub attempts: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_try_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message_id: Option<&'a str>,
    /// The answer in a chat that this mail brings.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instead_of: Option<String>,
}
