//! What is proved or claimed about a client beyond the address they came by.

use contact::{Act, Actor, ClientId, Deed, Event, Identifier, Level, Party};
use identity::{Conflict, POLICY};
use jiff::Timestamp;

use super::Desk;
use crate::model::{Claim, Holder};

impl Desk {
    /// One proof names several identifiers: they are one client's. What nobody holds becomes theirs; whom
    /// it shows to be the same client is merged with them by a decision of its own, unless a rule of
    /// `identity` speaks against it: then it is a claim for a person to judge.
    pub(super) fn prove(&mut self, event: &Event, client: ClientId, proved: &[Party], now: Timestamp) {
        for identifier in proved.iter().filter_map(Party::identifier) {
            match self.known.holders.get(&identifier).copied() {
                Some((holder, level)) if holder == client => {
                    if level < Level::Proved {
                        self.hold(Holder { identifier, client, level: Level::Proved, since: now });
                    }
                }
                None => match identity::may_hold(self.holdings(client), &identifier) {
                    Ok(()) => self.hold(Holder { identifier, client, level: Level::Proved, since: now }),
                    Err(conflict) => self.claim_one(client, identifier, &conflict, now),
                },
                Some((holder, _)) => match self.may_merge(client, holder) {
                    Ok(()) => self.decide_merge(event, client, holder, &identifier, now),
                    Err(conflict) => self.claim_one(client, identifier, &conflict, now),
                },
            }
        }
    }

    /// What somebody merely says: who else it may be is a person's to judge.
    pub(super) fn take_claims(&mut self, client: ClientId, claimed: &[Party], reason: &str, now: Timestamp) {
        for identifier in claimed.iter().filter_map(Party::identifier) {
            if self.known.holders.get(&identifier).is_none_or(|(holder, _)| *holder != client) {
                self.claims.push(Claim { identifier, client, reason: reason.to_owned(), since: now });
            }
        }
    }

    fn claim_one(&mut self, client: ClientId, identifier: Identifier, conflict: &Conflict, now: Timestamp) {
        self.claims.push(Claim { identifier, client, reason: conflict.to_string(), since: now });
    }

    fn may_merge(&self, one: ClientId, other: ClientId) -> Result<(), Conflict> {
        if self.known.aparts.contains(&ordered(one, other)) {
            return Err(Conflict::KeptApart);
        }
        identity::may_merge(self.holdings(one), self.holdings(other))
    }

    fn holdings(&self, client: ClientId) -> &[Identifier] {
        self.known.holdings.get(&client).map_or(&[], Vec::as_slice)
    }

    /// The older one survives, whoever asks. At a replay the decision follows in the log.
    fn decide_merge(
        &mut self,
        event: &Event,
        one: ClientId,
        other: ClientId,
        identifier: &Identifier,
        now: Timestamp,
    ) {
        let [survivor, absorbed] = ordered(one, other);
        let reason = format!("one signed token names {identifier} and the other's identifier");
        let deed = Deed::Merge { survivor, absorbed, reason };
        self.decide(event, &format!("merge:{absorbed}"), Act { by: Actor::Policy(POLICY.to_owned()), deed }, now);
    }
}

/// The lesser id, which is the older client's, first.
pub(crate) fn ordered(one: ClientId, other: ClientId) -> [ClientId; 2] {
    if one <= other { [one, other] } else { [other, one] }
}
