//! What is proved or claimed about a client beyond the address they came by.

use contact::{Act, Actor, ClientId, Deed, Event, Identifier, Introduction, Level, Party, content_digest};
use identity::{Conflict, POLICY};
use jiff::Timestamp;

use super::Desk;
use crate::model::{Claim, Holder};

impl Desk<'_> {
    /// One proof names several identifiers: they are one client's. What nobody holds becomes theirs; whom
    /// it shows to be the same client is merged with them by a decision of its own, unless a rule of
    /// `identity` speaks against it: then it is a claim for a person to judge.
    pub(super) fn prove(&mut self, event: &Event, client: ClientId, proved: &[Party], now: Timestamp) {
        // With whom the client will be one, and what they will hold together.
        let mut joined = vec![client];
        let mut held = self.holdings(client).to_vec();
        for identifier in proved.iter().filter_map(Party::identifier) {
            match self.known.holders.get(&identifier).copied() {
                Some((holder, level)) if holder == client => self.raise(identifier, client, level, now),
                None => match identity::may_hold(&held, &identifier) {
                    Ok(()) => {
                        held.push(identifier.clone());
                        self.hold(Holder { identifier, client, level: Level::Proved, since: now });
                    }
                    Err(conflict) => self.claim_one(client, identifier, &conflict, now),
                },
                Some((holder, level)) => {
                    let is_new = !joined.contains(&holder);
                    let fits = if is_new { self.may_merge(&joined, &held, holder) } else { Ok(()) };
                    let done = fits.and_then(|()| self.decide_merge(event, client, holder, &identifier, now));
                    match done {
                        Ok(()) if is_new => {
                            held.extend_from_slice(self.holdings(holder));
                            joined.push(holder);
                            self.raise(identifier, holder, level, now);
                        }
                        Ok(()) => self.raise(identifier, holder, level, now),
                        Err(conflict) => self.claim_one(client, identifier, &conflict, now),
                    }
                }
            }
        }
    }

    /// Another system of ours knows them: its word is proof, but merges nobody.
    pub(super) fn take_introduction(&mut self, event: &Event, said: &Introduction, by: &str, now: Timestamp) {
        let id = self.survivor(said.client);
        self.meet_client(id, event, now);
        self.note_client(id);
        for identifier in std::iter::once(&said.known_as).chain(&said.identifiers).cloned() {
            match self.known.holders.get(&identifier).copied() {
                Some((holder, level)) if holder == id => self.raise(identifier, id, level, now),
                None => match identity::may_hold(self.holdings(id), &identifier) {
                    Ok(()) => self.hold(Holder { identifier, client: id, level: Level::Proved, since: now }),
                    Err(conflict) => self.claim_one(id, identifier, &conflict, now),
                },
                Some(_) => {
                    let reason = format!("{by} knows it to be theirs");
                    self.claims.push(Claim { identifier, client: id, reason, since: now });
                }
            }
        }
        self.change_client(id, |row| {
            row.name = said.name.clone().or(row.name.take());
            row.segment = said.segment.clone().or(row.segment.take());
            row.value = said.value.or(row.value);
            row.owner = said.owner.clone().or(row.owner.take());
            row.preferences.language = said.language.clone().or(row.preferences.language.take());
        });
    }

    /// What its holder was only seen with is proved.
    fn raise(&mut self, identifier: Identifier, client: ClientId, known: Level, now: Timestamp) {
        if known < Level::Proved {
            self.hold(Holder { identifier, client, level: Level::Proved, since: now });
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

    fn may_merge(&self, joined: &[ClientId], held: &[Identifier], other: ClientId) -> Result<(), Conflict> {
        if joined.iter().any(|one| self.known.aparts.contains(&ordered(*one, other))) {
            return Err(Conflict::KeptApart);
        }
        identity::may_merge(held, self.holdings(other))
    }

    fn holdings(&self, client: ClientId) -> &[Identifier] {
        self.known.holdings.get(&client).map_or(&[], Vec::as_slice)
    }

    /// The older one survives, whoever asks. At a replay the decision follows in the log. Two identifiers of
    /// one holder are two decisions, of which the second changes nothing: had the holder been two, both had.
    /// Taken again, it may have been undone.
    fn decide_merge(
        &mut self,
        event: &Event,
        one: ClientId,
        other: ClientId,
        identifier: &Identifier,
        now: Timestamp,
    ) -> Result<(), Conflict> {
        let [survivor, absorbed] = ordered(one, other);
        let reason = format!("one signed token names {identifier} and the other's identifier");
        // Named by what was proved and not by who is thereby found to be one: the same proof says the same
        // of other clients, when the history is taken again without some merge.
        let what = content_digest([identifier.kind.as_str().as_bytes(), identifier.value.as_bytes()]);
        let deed = Deed::Merge { survivor, absorbed, reason };
        let act = Act { by: Actor::Policy(POLICY.to_owned()), deed };
        if self.decide(event, &format!("merge:{what}"), act, now) { Ok(()) } else { Err(Conflict::KeptApart) }
    }
}

/// The lesser id, which is the older client's, first.
pub(crate) fn ordered(one: ClientId, other: ClientId) -> [ClientId; 2] {
    if one <= other { [one, other] } else { [other, one] }
}
