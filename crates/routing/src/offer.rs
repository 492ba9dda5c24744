//! Who is asked: one agent at a time, until one accepts.
//!
//! The first of the waiting list is offered to an agent who is ready (available and connected), serves its
//! queue, has its skills, has room, and is not asked about another of its channel; of several to the one who
//! spoke with the client last, else to the one who had nothing new for longest. So what comes together is spread
//! over those who are here, and each offer has its whole time. An offer ends by acceptance, refusal, its time, or
//! because the agent is gone; then the next one is asked, and who passed rests from that conversation for a while.
//! Work never ends by itself: with nobody to ask it waits.
//!
//! What people do (accept, decline, claim, come and go) changes the rows of which the desk is made; here stands what
//! follows by itself. New offers are made at the present moment only, because an offer in the past could not have
//! been seen.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use contact::{Channel, ConversationId};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::agent::{Agent, AgentName};
use crate::desk::{Change, Desk, Ended, Need, Standing, Work};
use crate::order::Place;

/// How agents are asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Terms {
    /// How long an offer of a channel stands; 20 s where nothing is said.
    pub offer_s: BTreeMap<Channel, u32>,
    /// Who passed is not asked about the same conversation for so long. At least 1: the others come first.
    pub rest_s: u32,
    /// A conversation waits so long for the agent who knows the client, if that one is ready and busy.
    pub hold_s: u32,
    /// What an agent had returns to the list when they are gone for so long.
    pub grace_s: u32,
    /// After so many unanswered offers in a row an agent counts as away. At least 1.
    pub missed_offers: u16,
}

impl Default for Terms {
    fn default() -> Terms {
        Terms { offer_s: BTreeMap::new(), rest_s: 60, hold_s: 10, grace_s: 60, missed_offers: 2 }
    }
}

const OFFER_S: u32 = 20;
/// Offers made at once: whoever writes them down holds up everybody else who decides.
const MOST_OFFERS: usize = 256;

/// What follows at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decided {
    /// Already made, in this order, at [`Desk::now`].
    pub changes: Vec<Change>,
    /// There are more offers to be made: deciding again makes them.
    pub more: bool,
}

impl Desk {
    /// Decides and changes the desk. Depends on nothing but the desk, the terms and the moment; a moment before the
    /// latest counts as the latest.
    ///
    /// Afterwards no conversation waits for which [`Desk::candidate`] finds an agent, unless there are more.
    pub fn decide(&mut self, terms: &Terms, at: Timestamp) -> Decided {
        self.pass(at);
        let mut turn = Turn { at: self.now(), desk: self, terms, changes: Vec::new() };
        turn.end_offers();
        turn.take_back();
        let more = turn.offer();
        Decided { changes: turn.changes, more }
    }

    /// When to decide again though nobody did anything; `None`: nothing happens by itself.
    pub fn next_deadline(&self, terms: &Terms) -> Option<Timestamp> {
        let offers = self.offers().next().map(|(until, _)| until);
        let graces = self.agents().filter_map(|(name, agent)| self.returns_at(name, agent, terms));
        let hold = SignedDuration::from_secs(i64::from(terms.hold_s));
        let held = self.held_after(self.now().saturating_sub(hold).unwrap_or(Timestamp::MIN));
        let held = held.and_then(|since| after(since, terms.hold_s));
        let waits = [offers, self.rested_after(self.now()), held];
        waits.into_iter().flatten().chain(graces).min()
    }

    /// Who would be offered this now.
    pub fn candidate(&self, terms: &Terms, work: &Work, at: Timestamp) -> Option<&AgentName> {
        let can = |agent: &Agent| {
            agent.seat.is_ready() && agent.seat.can(&work.arrival.queue, &work.arrival.skills)
        };
        let mut able: Vec<_> = self.agents().filter(|(_, agent)| can(agent)).collect();
        able.sort_unstable_by_key(|(name, agent)| (agent.seat.idle_since, *name));
        self.candidate_of(able, terms, work, at)
    }

    /// When what an agent has returns, if they are gone.
    fn returns_at(&self, name: &AgentName, agent: &Agent, terms: &Terms) -> Option<Timestamp> {
        let since = agent.seat.gone_since.filter(|_| agent.carries_anything())?;
        let left = self.in_hands(name).any(|work| work.is_left_by(name, Some(since)));
        after(since, terms.grace_s).filter(|_| left)
    }

    /// Of those who serve it: the one who knows the client, else the first in their order.
    fn candidate_of<'a>(
        &'a self,
        able: impl IntoIterator<Item = (&'a AgentName, &'a Agent)>,
        terms: &Terms,
        work: &Work,
        at: Timestamp,
    ) -> Option<&'a AgentName> {
        let (arrival, asked) = (&work.arrival, |name: &AgentName| !work.rests(name, at));
        // The one who knows the client is worth a short wait, if they are about to be free.
        let knows = arrival.knows.as_ref().and_then(|name| self.known(name)).filter(|(name, agent)| {
            agent.seat.is_ready() && agent.seat.can(&arrival.queue, &arrival.skills) && asked(name)
        });
        if let Some((name, agent)) = knows {
            if agent.can_be_asked(arrival.channel) {
                return Some(name);
            }
            let hold = after(work.waits_since, terms.hold_s);
            if agent.seat.capacity(arrival.channel) > 0 && hold.is_some_and(|until| at < until) {
                return None;
            }
        }
        able.into_iter()
            .find(|(name, agent)| agent.can_be_asked(arrival.channel) && asked(name))
            .map(|(name, _)| name)
    }
}

/// What waits and needs the same, and who could take it: who had nothing new for longest first.
struct Line {
    need: Need,
    able: VecDeque<AgentName>,
}

/// One moment on its way through the desk.
struct Turn<'a> {
    at: Timestamp,
    desk: &'a mut Desk,
    terms: &'a Terms,
    changes: Vec<Change>,
}

impl Turn<'_> {
    fn put(&mut self, change: Change) {
        self.desk.apply(&change);
        self.changes.push(change);
    }

    /// Ends the offers of those who would not answer, and those whose time has come.
    fn end_offers(&mut self) {
        let unheard = |(_, conversation): &(Timestamp, ConversationId)| {
            let asked = self.desk.holder(*conversation).and_then(|name| self.desk.agent(name));
            !asked.is_some_and(|agent| agent.seat.is_ready())
        };
        let unheard: Vec<_> = self.desk.offers().filter(unheard).collect();
        for (_, conversation) in unheard {
            self.end_offer(conversation, Ended::Rescinded);
        }
        while let Some(conversation) = self.desk.ended_by(self.at) {
            let Some(agent) = self.end_offer(conversation, Ended::TimedOut) else {
                break;
            };
            let silent = |agent: &Agent| agent.seat.missed >= self.terms.missed_offers.max(1);
            if self.desk.agent(&agent).is_some_and(silent) {
                self.put(Change::Away { agent: agent.clone() });
                let open = |work: &&Work| work.standing.is_offer();
                for conversation in self.theirs(&agent, open) {
                    self.end_offer(conversation, Ended::Rescinded);
                }
            }
        }
    }

    /// Takes back what those had who are gone for too long.
    fn take_back(&mut self) {
        let gone = |(name, agent): (&AgentName, &Agent)| {
            self.desk.returns_at(name, agent, self.terms).filter(|at| *at <= self.at)?;
            Some((name.clone(), agent.seat.gone_since))
        };
        let gone: Vec<_> = self.desk.agents().filter_map(gone).collect();
        for (agent, since) in gone {
            for conversation in self.theirs(&agent, |work| work.is_left_by(&agent, since)) {
                self.put(Change::Returned { conversation, agent: agent.clone() });
            }
        }
    }

    /// Offers what waits, in its order, while somebody can be asked; gives whether that was not all.
    fn offer(&mut self) -> bool {
        let mut offers = 0;
        let mut lines = self.lines();
        let first = |line: &Line| self.desk.first_after(&line.need, None);
        let mut heads: BTreeSet<(Place, usize)> =
            lines.iter().enumerate().filter_map(|(at, line)| Some((first(line)?, at))).collect();
        while let Some((place, at)) = heads.pop_first() {
            let Some(Line { need, able }) = lines.get_mut(at) else { continue };
            // Whoever is asked now is asked nothing more of the channel within a turn.
            let asked = |name: &AgentName| {
                self.desk.agent(name).is_none_or(|agent| !agent.can_be_asked(need.channel))
            };
            while able.front().is_some_and(asked) {
                able.pop_front();
            }
            let Some(work) = self.desk.work(place.conversation).filter(|_| !able.is_empty()) else {
                continue;
            };
            let able = able.iter().filter_map(|name| self.desk.known(name));
            if let Some(agent) = self.desk.candidate_of(able, self.terms, work, self.at).cloned() {
                let offer_s = self.terms.offer_s.get(&work.arrival.channel).copied().unwrap_or(OFFER_S);
                let until = after(self.at, offer_s.max(1)).unwrap_or(Timestamp::MAX);
                if offers == MOST_OFFERS {
                    return true;
                }
                offers += 1;
                self.put(Change::Offered { conversation: place.conversation, agent, until });
            }
            heads.extend(self.desk.first_after(need, Some(place)).map(|next| (next, at)));
        }
        false
    }

    /// What waits and somebody here can be asked about.
    fn lines(&self) -> Vec<Line> {
        let mut free: Vec<_> = self
            .desk
            .agents()
            .filter(|(_, agent)| agent.seat.is_ready() && agent.can_be_asked_anything())
            .collect();
        free.sort_unstable_by_key(|(name, agent)| (agent.seat.idle_since, *name));
        let mut serving: BTreeMap<&str, Vec<(&AgentName, &Agent)>> = BTreeMap::new();
        for (name, agent) in free {
            for queue in &agent.seat.profile.queues {
                serving.entry(queue).or_default().push((name, agent));
            }
        }
        let line = |need: &Need| {
            let able = serving.get(need.queue.as_str())?.iter().filter(|(_, agent)| {
                agent.can_be_asked(need.channel) && need.skills.is_subset(&agent.seat.profile.skills)
            });
            let able: VecDeque<AgentName> = able.map(|(name, _)| (*name).clone()).collect();
            (!able.is_empty()).then(|| Line { need: need.clone(), able })
        };
        self.desk.needs().filter_map(line).collect()
    }

    /// Ends an open offer and says whose it was.
    fn end_offer(&mut self, conversation: ConversationId, how: Ended) -> Option<AgentName> {
        let Standing::Offered { agent, .. } = self.desk.work(conversation)?.standing.clone() else {
            return None;
        };
        let passed = how != Ended::Rescinded;
        let rests_until = if passed { after(self.at, self.terms.rest_s.max(1)) } else { None };
        self.put(Change::OfferEnded { conversation, agent: agent.clone(), how, rests_until });
        Some(agent)
    }

    fn theirs(&self, name: &AgentName, wanted: impl Fn(&&Work) -> bool) -> Vec<ConversationId> {
        self.desk.in_hands(name).filter(wanted).map(|work| work.arrival.place.conversation).collect()
    }
}

fn after(at: Timestamp, seconds: u32) -> Option<Timestamp> {
    at.checked_add(SignedDuration::from_secs(i64::from(seconds))).ok()
}
