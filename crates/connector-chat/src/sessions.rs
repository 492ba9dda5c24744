//! Which session of a chat a line belongs to. A session begins with a line after a silence, or after what
//! the last one was about was resolved.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use connector::Head;
use jiff::{SignedDuration, Timestamp};

/// What is recorded is asked for anew this often: in between a session may end without our knowing.
const ASK_EVERY: SignedDuration = SignedDuration::from_secs(5);

/// One generation of visitors that are remembered; with the one before it, about 15 MB at most. A full
/// generation becomes the old one, and the old one is forgotten: what is recorded tells the rest.
const GENERATION: usize = 20_000;

/// The sessions that lines went into, because what is recorded lags behind what was accepted.
pub(crate) struct Sessions {
    idle: SignedDuration,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    young: HashMap<String, Latest>,
    old: HashMap<String, Latest>,
}

#[derive(Clone, Debug)]
struct Latest {
    session: String,
    /// When its last line was written, as far as we know.
    last_at: Timestamp,
    asked_at: Timestamp,
}

impl Sessions {
    pub(crate) fn new(idle: Duration) -> Self {
        let idle = SignedDuration::try_from(idle).unwrap_or(SignedDuration::MAX);
        Self { idle, known: Mutex::default() }
    }

    /// Whether what is recorded should be asked for before the next line is put into a session.
    pub(crate) fn is_stale(&self, visitor: &str, now: Timestamp) -> bool {
        let latest = self.lock().get(visitor);
        latest.is_none_or(|latest| now.duration_since(latest.asked_at).abs() > ASK_EVERY)
    }

    /// The session of a line written at `now`. `head` is what is recorded, where it was asked for and told.
    /// A session that begins is called `id`.
    pub(crate) fn join(&self, visitor: &str, head: Option<&Head>, id: &str, now: Timestamp) -> String {
        let mut known = self.lock();
        // Looked at again under the lock: two first lines at once begin one session.
        let latest = known.get(visitor);
        let asked_at = match (&latest, head) {
            (Some(latest), None) if now.duration_since(latest.asked_at).abs() <= ASK_EVERY => latest.asked_at,
            _ => now,
        };
        let session = going_on(latest.as_ref(), head, now, self.idle).unwrap_or(id).to_owned();
        known.put(visitor, Latest { session: session.clone(), last_at: now, asked_at });
        session
    }

    /// The latest session of the visitor that we know of.
    pub(crate) fn latest(&self, visitor: &str) -> Option<String> {
        self.lock().get(visitor).map(|latest| latest.session)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The session that a line at `now` goes on with, if any.
fn going_on<'a>(
    latest: Option<&'a Latest>,
    head: Option<&'a Head>,
    now: Timestamp,
    idle: SignedDuration,
) -> Option<&'a str> {
    let (session, last_at, resolved) = match (latest, head) {
        (None, None) => return None,
        (Some(latest), None) => (&latest.session, latest.last_at, false),
        (None, Some(head)) => (&head.session, head.last_at, head.resolved),
        (Some(latest), Some(head)) if latest.session == head.session => {
            (&head.session, head.last_at.max(latest.last_at), head.resolved)
        }
        // One of them does not know of the other: ours is not recorded yet, or another process began one.
        (Some(latest), Some(head)) if latest.last_at >= head.last_at => {
            (&latest.session, latest.last_at, false)
        }
        (Some(_), Some(head)) => (&head.session, head.last_at, head.resolved),
    };
    let silent = now.duration_since(last_at);
    (!resolved && silent <= idle && !session.is_empty()).then_some(session)
}

impl Known {
    fn get(&mut self, visitor: &str) -> Option<Latest> {
        if let Some(latest) = self.young.get(visitor) {
            return Some(latest.clone());
        }
        // Who comes back lives on in the young generation.
        let latest = self.old.remove(visitor)?;
        self.put(visitor, latest.clone());
        Some(latest)
    }

    fn put(&mut self, visitor: &str, latest: Latest) {
        if self.young.len() >= GENERATION && !self.young.contains_key(visitor) {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(visitor.to_owned(), latest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn head(session: &str, last: i64, resolved: bool) -> Head {
        Head { seq: 1, session: session.into(), last_at: at(last), resolved, read: 0 }
    }

    fn sessions() -> Sessions {
        Sessions::new(Duration::from_secs(1800))
    }

    #[test]
    fn a_session_goes_on_until_half_an_hour_of_silence() {
        let sessions = sessions();
        assert_eq!(sessions.join("v", None, "a", at(0)), "a");
        assert_eq!(sessions.join("v", None, "b", at(1800)), "a");
        assert_eq!(sessions.join("v", None, "c", at(3601)), "c");
        assert_eq!(sessions.join("w", None, "d", at(3601)), "d", "each visitor has their own");
        assert_eq!(sessions.latest("v").as_deref(), Some("c"));
    }

    #[test]
    fn what_is_recorded_is_gone_on_with() {
        assert_eq!(sessions().join("v", Some(&head("a", 0, false)), "b", at(1800)), "a");
        assert_eq!(sessions().join("v", Some(&head("a", 0, false)), "b", at(1801)), "b");
        assert_eq!(sessions().join("v", Some(&head("a", 0, true)), "b", at(10)), "b");
        assert_eq!(sessions().join("v", Some(&head("", 0, false)), "b", at(10)), "b", "only we wrote so far");
    }

    #[test]
    fn a_resolved_session_ends_once_although_the_record_lags_behind() {
        let sessions = sessions();
        assert_eq!(sessions.join("v", None, "a", at(0)), "a");
        assert_eq!(sessions.join("v", Some(&head("a", 0, true)), "b", at(10)), "b");
        // The record has not seen b yet.
        assert_eq!(sessions.join("v", Some(&head("a", 0, true)), "c", at(20)), "b");
        assert_eq!(sessions.join("v", Some(&head("b", 20, false)), "d", at(30)), "b");
        // Another process began one.
        assert_eq!(sessions.join("v", Some(&head("e", 40, false)), "f", at(41)), "e");
    }

    #[test]
    fn the_record_is_asked_now_and_then() {
        let sessions = sessions();
        assert!(sessions.is_stale("v", at(0)));
        sessions.join("v", None, "a", at(0));
        sessions.join("v", None, "a", at(4));
        assert!(!sessions.is_stale("v", at(5)));
        assert!(sessions.is_stale("v", at(6)));
        sessions.join("v", Some(&head("a", 4, false)), "a", at(6));
        assert!(!sessions.is_stale("v", at(11)));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let sessions = sessions();
        for n in 0..3 * GENERATION {
            sessions.join(&n.to_string(), None, "s", at(0));
            assert!(sessions.latest("0").is_some(), "who is there is not forgotten");
        }
        assert_eq!(sessions.latest("1"), None, "who left is");
        let known = sessions.lock();
        assert!(known.young.len() + known.old.len() <= 2 * GENERATION);
    }
}
