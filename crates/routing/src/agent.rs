//! Agents: what they can take, whether they are here, and how long they have had nothing new.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use contact::Channel;
pub use contact::{Presence, Profile};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::desk::Work;

/// An agent, by the name their token carries.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AgentName(pub String);

impl fmt::Display for AgentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An agent as they are known elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seat {
    pub profile: Profile,
    pub presence: Presence,
    /// Whether they could see an offer: a console of theirs is connected.
    pub connected: bool,
    /// Since when they are offline or not connected.
    pub gone_since: Option<Timestamp>,
    /// Since when nothing new came to them and nothing of theirs ended.
    pub idle_since: Timestamp,
    /// Offers in a row they did not answer at all.
    pub missed: u16,
}

/// An agent at this moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agent {
    pub seat: Seat,
    /// None is nothing.
    load: BTreeMap<Channel, Load>,
}

/// Conversations of one channel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Load {
    /// They have or are offered so many.
    all: u16,
    offered: u16,
}

impl Seat {
    /// They would answer an offer.
    pub fn is_ready(&self) -> bool {
        self.connected && self.presence == Presence::Available
    }

    /// They serve the queue and have every skill.
    pub fn can(&self, queue: &str, skills: &BTreeSet<String>) -> bool {
        self.profile.queues.contains(queue) && skills.is_subset(&self.profile.skills)
    }

    pub(crate) fn capacity(&self, channel: Channel) -> u16 {
        self.profile.capacity.get(&channel).copied().unwrap_or(0)
    }
}

impl Agent {
    pub(crate) fn new(seat: Seat) -> Agent {
        Agent { seat, load: BTreeMap::new() }
    }

    /// Conversations of the channel they have or are offered.
    pub fn load(&self, channel: Channel) -> u16 {
        self.of(channel).all
    }

    pub fn has_room(&self, channel: Channel) -> bool {
        self.load(channel) < self.seat.capacity(channel)
    }

    /// They have room, and are not looking at another offer of the channel.
    pub fn can_be_asked(&self, channel: Channel) -> bool {
        self.has_room(channel) && self.of(channel).offered == 0
    }

    pub(crate) fn can_be_asked_anything(&self) -> bool {
        self.seat.profile.capacity.keys().any(|channel| self.can_be_asked(*channel))
    }

    pub(crate) fn carries_anything(&self) -> bool {
        self.load.values().any(|load| load.all > 0)
    }

    pub(crate) fn take(&mut self, work: &Work) {
        let load = self.load.entry(work.arrival.channel).or_default();
        load.all = load.all.saturating_add(1);
        load.offered = load.offered.saturating_add(u16::from(work.standing.is_offer()));
    }

    pub(crate) fn drop(&mut self, work: &Work) {
        if let Entry::Occupied(mut entry) = self.load.entry(work.arrival.channel) {
            let load = entry.get_mut();
            load.all = load.all.saturating_sub(1);
            load.offered = load.offered.saturating_sub(u16::from(work.standing.is_offer()));
            if *load == Load::default() {
                entry.remove();
            }
        }
    }

    fn of(&self, channel: Channel) -> Load {
        self.load.get(&channel).copied().unwrap_or_default()
    }
}
