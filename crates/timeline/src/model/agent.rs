//! Who of us answers, and what is held for them.

use std::collections::BTreeSet;

use contact::{ConversationId, Presence, Profile, ReservationId};
use jiff::Timestamp;
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// Who of us answers clients, and whether they are here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agent {
    /// As their token names them.
    pub name: String,
    /// What they can take; `None`: they are offered nothing.
    pub profile: Option<Profile>,
    pub presence: Presence,
    /// The processes of ours through which a console of theirs is connected.
    pub consoles: BTreeSet<String>,
    /// Since when they are offline or not connected.
    pub gone_since: Option<Timestamp>,
    /// Since when nothing new came to them and nothing of theirs ended.
    pub idle_since: Timestamp,
    /// Offers in a row they did not answer at all.
    pub missed: u16,
    pub rev: i64,
}

impl Agent {
    /// Newly known, and not here.
    pub fn new(name: &str, at: Timestamp) -> Agent {
        Agent {
            name: name.to_owned(),
            profile: None,
            presence: Presence::Offline,
            consoles: BTreeSet::new(),
            gone_since: Some(at),
            idle_since: at,
            missed: 0,
            rev: 0,
        }
    }

    /// The id by which the feed names them: derived from the name, which is theirs for ever.
    pub fn id(name: &str) -> Uuid {
        let full: [u8; 32] = Sha256::digest(format!("agent/{name}")).into();
        let mut id = [0; 16];
        id.copy_from_slice(&full[..16]);
        Uuid::from_bytes(id)
    }

    /// It is a telephone of theirs.
    pub fn has(&self, extension: &str) -> bool {
        self.profile.as_ref().is_some_and(|profile| profile.extensions.contains(extension))
    }

    /// They could see an offer.
    pub fn is_connected(&self) -> bool {
        !self.consoles.is_empty()
    }
}

/// A conversation held for one agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reservation {
    pub id: ReservationId,
    pub conversation: ConversationId,
    pub agent: String,
    pub state: ReservationState,
    pub offered_at: Timestamp,
    /// After this an answer is too late.
    pub until: Timestamp,
    pub ended_at: Option<Timestamp>,
    /// The agent is not offered the conversation again before.
    pub rests_until: Option<Timestamp>,
    pub rev: i64,
}

words!(ReservationState, "state of a reservation" {
    Pending = "pending",
    Accepted = "accepted",
    Declined = "declined",
    TimedOut = "timed_out",
    Rescinded = "rescinded",
});
