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
        if change.attempt <= self.attempts
            && change.fate != ReplyFate::Sent
            && change.fate != ReplyFate::Failed
        {
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

#[cfg(test)]
mod tests {
    use super::*;
    use contact::{ContactKey, Content, Direction, EntryId, EventKey, SourceName, Trust};

    fn noon() -> Timestamp {
        "2026-11-21T12:00:00Z".parse().expect("a time")
    }

    fn reply(seq: Option<i64>) -> Reply {
        let id: EntryId = "ent_0198b2c3d4e570008000000000000001".parse().expect("an id");
        Reply {
            id,
            conversation: "cnv_0198b2c3d4e570008000000000000001".parse().expect("an id"),
            client: None,
            source: "email/support".parse().expect("a source"),
            state: ReplyState::Queued,
            attempts: 0,
            doubts: 0,
            due_at: Some(noon()),
            order: Order {
                reply: id,
                attempt: 0,
                written_at: noon(),
                to: "olena@example.com".into(),
                name: None,
                agent: None,
                text: "Добрий день".into(),
                thread: None,
                seq,
            },
            detail: None,
            message_id: None,
            instead_of: None,
            rev: 1,
            recorded_at: noon(),
        }
    }

    fn told(reply: &mut Reply, attempt: u32, fate: ReplyFate) -> bool {
        let source: SourceName = "email/support".parse().expect("a source");
        let change = ReplyChange { reply: reply.id, attempt, fate, detail: None, message_id: None };
        let event = Event {
            key: EventKey { source, id: format!("{attempt}:{fate:?}") },
            contact: ContactKey("desk/x".into()),
            occurred_at: noon(),
            received_at: noon(),
            traceparent: None,
            direction: Direction::Outbound,
            trust: Trust::Verified,
            from: None,
            to: Vec::new(),
            content: Content::Reply(change.clone()),
            raw: None,
        };
        reply.fold(&event, &change)
    }

    #[test]
    fn what_is_refused_for_now_is_tried_again_ever_later_and_then_given_up() {
        let mut reply = reply(None);
        let mut pauses = Vec::new();
        for attempt in 1..=10 {
            assert_eq!(reply.next_order().attempt, attempt);
            assert!(told(&mut reply, attempt, ReplyFate::Deferred));
            pauses.extend(reply.due_at.map(|at| at.duration_since(noon())));
        }
        assert_eq!(pauses, LADDER);
        assert_eq!((reply.state, reply.due_at), (ReplyState::Failed, None));
    }

    #[test]
    fn accepted_is_accepted_whatever_else_is_heard_of_other_tries() {
        let mut reply = reply(None);
        assert!(told(&mut reply, 1, ReplyFate::Sent));
        assert_eq!((reply.state, reply.due_at), (ReplyState::Sent, None));
        for fate in [ReplyFate::Deferred, ReplyFate::Uncertain, ReplyFate::Sent] {
            assert!(!told(&mut reply, 2, fate), "{fate:?}");
        }
        assert_eq!((reply.state, reply.due_at), (ReplyState::Sent, None));
        assert!(told(&mut reply, 1, ReplyFate::Failed), "a report says it came back");
        assert_eq!(reply.state, ReplyState::Failed);
    }

    #[test]
    fn a_doubt_is_followed_by_one_more_try_and_a_late_word_settles_it() {
        let mut reply = reply(None);
        assert!(told(&mut reply, 1, ReplyFate::Uncertain));
        assert_eq!(reply.due_at, Some(noon() + AFTER_DOUBT));
        assert!(told(&mut reply, 2, ReplyFate::Uncertain));
        assert_eq!((reply.state, reply.due_at), (ReplyState::Uncertain, None), "nobody is written to thrice");
        assert!(told(&mut reply, 1, ReplyFate::Sent), "the word about the first try came late");
        assert_eq!(reply.state, ReplyState::Sent);
    }

    #[test]
    fn a_try_told_twice_counts_once() {
        let mut reply = reply(None);
        assert!(told(&mut reply, 1, ReplyFate::Deferred));
        assert!(!told(&mut reply, 1, ReplyFate::Deferred));
        assert_eq!(reply.attempts, 1);
    }

    #[test]
    fn a_line_in_a_chat_has_a_while_to_be_read() {
        let mut reply = reply(Some(3));
        assert!(told(&mut reply, 1, ReplyFate::Sent));
        assert_eq!(reply.due_at, Some(noon() + UNREAD));
    }
}
