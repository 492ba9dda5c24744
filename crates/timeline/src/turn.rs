//! What happens by itself: promises that warn and break, rest that ends, offers to agents, work that returns.
//!
//! [`turn`] does everything that is due, in the one transaction that may decide, and says when to come again.
//! What is to be given to whom stands in the store's rows; a [`Roster`] is the same in memory, so that five
//! thousand who wait need not be read for each one who comes. It is brought up to date by the feed, inside the
//! transaction, and so may be held by any number of processes.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use contact::{
    Act, Actor, Channel, ClientId, Content, ConversationId, Deed, Event, EventKey, OfferEnd, Presence,
    ReservationId, SourceName,
};
use jiff::Timestamp;
use routing::agent::{AgentName, Seat};
use routing::desk::{Arrival as Waiting, Change, Desk, Ended, Standing};
use uuid::Uuid;

use crate::act;
use crate::attach::{Mode, attach, wanted};
use crate::model::{Agent, Arrival, Conversation, FeedKind, Reservation, ReservationState, Status};
use crate::policy::{PRESENCE, Policy};
use crate::port::{Known, Store, StoreError, Tx, Wanted, Work, WorkOf};

/// The rules by which things happen by themselves, as decisions keep them.
const CLOCK: &str = "clock/1";
const OFFERS: &str = "offers/1";

/// Conversations woken for in one turn; the next turn follows at once.
const MOST_WOKEN: usize = 256;
/// Changes of the feed read at a time.
const PAGE: usize = 1024;
/// Behind by more, everything is read anew.
const MOST_BEHIND: i64 = 16 * 1024;

/// What a turn did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turned {
    /// The feed's last position.
    pub feed_position: i64,
    pub decisions: usize,
    /// Something is due already: come again at once.
    pub more: bool,
    /// When something happens by itself next.
    pub next: Option<Timestamp>,
}

/// Does everything that is due when nobody else writes any more, which `clock` is asked for then: what is offered
/// is offered for so long from there on. When it returns `Ok` it is committed; otherwise nothing was done, and the
/// roster is empty.
pub async fn turn(
    store: &dyn Store,
    policy: &Policy,
    roster: &mut Roster,
    clock: impl FnOnce() -> Timestamp + Send,
) -> Result<Turned, StoreError> {
    // Whatever fails, what is in memory may be ahead of what was committed.
    let mut working = std::mem::take(roster);
    let mut tx = store.begin().await?;
    let turned = turn_in(tx.as_mut(), policy, &mut working, clock()).await?;
    tx.commit().await?;
    *roster = working;
    Ok(turned)
}

/// The same in a transaction that somebody else commits.
pub async fn turn_in(
    tx: &mut dyn Tx,
    policy: &Policy,
    roster: &mut Roster,
    now: Timestamp,
) -> Result<Turned, StoreError> {
    let mut known = tx.read(&Wanted::default()).await?;
    roster.catch_up(tx, known.feed_position, now).await?;
    let processes = tx.processes().await?;
    let gone: Vec<&str> =
        processes.iter().filter(|(_, until)| *until <= now).map(|(process, _)| process.as_str()).collect();
    for process in &gone {
        tx.forget_process(process).await?;
    }
    let there: BTreeSet<&str> =
        processes.iter().map(|(process, _)| process.as_str()).filter(|id| !gone.contains(id)).collect();
    let to_wake: Vec<ConversationId> =
        tx.to_wake(now, MOST_WOKEN).await?.into_iter().map(|(id, _)| id).collect();
    let mut first = Deeds::after(&known, now);
    first.notices(&rows(tx, &to_wake).await?, &to_wake);
    first.partings(roster, &there);
    let mut decisions = gone.len() + first.arrivals.len();
    known.feed_position = carry_out(tx, policy, roster, first, known.feed_position).await?;

    known = if decisions == 0 { known } else { tx.read(&Wanted::default()).await? };
    let second = roster.offer(policy, Deeds::after(&known, now));
    decisions += second.arrivals.len();
    let more = second.more || to_wake.len() == MOST_WOKEN;
    // The desk takes what returns for waiting. If it is not, somebody has room who seemed to have none.
    let returned = second.arrivals.iter().any(is_return);
    let feed_position = carry_out(tx, policy, roster, second, known.feed_position).await?;

    let next = roster.desk.next_deadline(&policy.terms);
    let wakes = tx.to_wake(Timestamp::MAX, 1).await?.first().map(|(_, at)| *at);
    let silent = processes.iter().map(|(_, until)| *until).filter(|until| *until > now).min();
    let silent = silent.filter(|_| roster.agents.values().any(Agent::is_connected));
    let next = [next, wakes, silent].into_iter().flatten().min();
    // What has rested enough may be due for something else at once.
    let more = more || returned || next.is_some_and(|next| next <= now);
    Ok(Turned { feed_position, decisions, more, next })
}

fn is_return(arrival: &Arrival) -> bool {
    let Content::Act(act) = &arrival.event.content else { return false };
    matches!(act.deed, Deed::Return { .. })
}

async fn rows(tx: &mut dyn Tx, ids: &[ConversationId]) -> Result<Known, StoreError> {
    if ids.is_empty() {
        return Ok(Known::default());
    }
    tx.read(&Wanted { conversations: ids.to_vec(), ..Wanted::default() }).await
}

/// Puts what was decided into the log and its effects into the rows and the roster; gives the feed's position.
async fn carry_out(
    tx: &mut dyn Tx,
    policy: &Policy,
    roster: &mut Roster,
    deeds: Deeds,
    feed_position: i64,
) -> Result<i64, StoreError> {
    let Deeds { arrivals, now, .. } = deeds;
    if arrivals.is_empty() {
        return Ok(feed_position);
    }
    let known = tx.read(&wanted(&arrivals)).await?;
    let changes = attach(known, arrivals, Mode::Live(policy));
    tx.write(&changes).await?;
    let last = changes.feed.last().map_or(feed_position, |item| item.position);
    roster.catch_up(tx, last, now).await?;
    Ok(last)
}

/// Decisions of a turn, each an event of its own.
struct Deeds {
    arrivals: Vec<Arrival>,
    /// Where the log ended before them.
    log_position: i64,
    now: Timestamp,
    /// There are more, for which another turn is to be taken.
    more: bool,
}

impl Deeds {
    fn after(known: &Known, now: Timestamp) -> Deeds {
        Deeds { arrivals: Vec::new(), log_position: known.log_position, now, more: false }
    }

    /// At most one transaction decides at any moment, so where the log ends makes a key.
    fn put(&mut self, by: &str, at: Timestamp, deed: Deed) {
        let Ok(source) = SourceName::new(Channel::Desk, "policy") else { return };
        let key = EventKey { source, id: format!("turn:{}:{}", self.log_position, self.arrivals.len()) };
        let act = Act { by: Actor::Policy(by.to_owned()), deed };
        let event = Event { occurred_at: at.min(self.now), ..act::event(key, act, self.now) };
        self.arrivals.push(Arrival::new(event, self.now));
    }

    /// What is due, each with its own moment however late we look, rest that has ended, and chats that are over.
    fn notices(&mut self, known: &Known, ids: &[ConversationId]) {
        let now = self.now;
        for row in ids.iter().filter_map(|id| known.conversations.get(id)) {
            for (promise, clock) in &row.clocks {
                for (notice, at) in clock.notices(now) {
                    self.put(CLOCK, at, Deed::Notify { conversation: row.id, promise: *promise, notice, at });
                }
            }
            if row.status == Status::Snoozed
                && let Some(until) = row.snoozed_until.filter(|until| *until <= now)
            {
                self.put(CLOCK, until, Deed::Wake { conversation: row.id });
            }
            if let Some(over) = row.over_at().filter(|over| *over <= now) {
                self.put(CLOCK, over, Deed::Resolve { conversation: row.id });
            }
        }
    }

    /// Whoever was connected through a process of ours that is there no more is not connected.
    fn partings(&mut self, roster: &Roster, there: &BTreeSet<&str>) {
        let now = self.now;
        for agent in roster.agents.values() {
            for process in agent.consoles.iter().filter(|process| !there.contains(process.as_str())) {
                let (agent, process) = (agent.name.clone(), process.clone());
                self.put(PRESENCE, now, Deed::Connect { agent, process, open: false });
            }
        }
    }
}

/// The desk as of a position of the feed.
#[derive(Default)]
pub struct Roster {
    desk: Desk,
    agents: BTreeMap<String, Agent>,
    /// The open offer of a conversation, and to whom.
    offers: BTreeMap<ConversationId, (ReservationId, String)>,
    /// Open offers of what waits no more.
    stale: BTreeMap<ReservationId, ConversationId>,
    /// What of a client is on the desk: who knows the client is said with the client and not with each of these.
    theirs: BTreeMap<ClientId, BTreeSet<ConversationId>>,
    whose: BTreeMap<ConversationId, ClientId>,
    /// `None`: nothing is known yet.
    position: Option<i64>,
}

impl Roster {
    /// Everything that waits, is offered or is on somebody's hands, as of then.
    pub fn desk(&self) -> &Desk {
        &self.desk
    }

    /// Everybody's load, places and offers are as the store has them at this position.
    async fn catch_up(&mut self, tx: &mut dyn Tx, head: i64, now: Timestamp) -> Result<(), StoreError> {
        let Some(mut position) = self.position.filter(|position| head - position <= MOST_BEHIND) else {
            *self = Roster::default();
            let work = tx.work(None, now).await?;
            self.learn(work, now);
            self.position = Some(head);
            return Ok(());
        };
        while position < head {
            let items = tx.feed_items(position, PAGE).await?;
            let Some(last) = items.last() else { break };
            position = last.position;
            let mut of = WorkOf::default();
            let ids = |kind: FeedKind| -> BTreeSet<Uuid> {
                items.iter().filter(|item| item.kind == kind).map(|item| item.id).collect()
            };
            of.conversations =
                ids(FeedKind::Conversation).into_iter().map(ConversationId::from_uuid).collect();
            // Whoever is known by somebody new, or is somebody else now.
            let clients = ids(FeedKind::Client).into_iter().map(ClientId::from_uuid);
            let beside: Vec<_> = clients.filter_map(|id| self.theirs.get(&id)).flatten().copied().collect();
            of.conversations.extend(beside);
            of.reservations = ids(FeedKind::Reservation).into_iter().map(ReservationId::from_uuid).collect();
            of.agents = ids(FeedKind::Agent).into_iter().collect();
            if of != WorkOf::default() {
                let work = tx.work(Some(&of), now).await?;
                if work.agents.iter().any(|agent| self.knows_others(agent)) {
                    // Who knows whom is said otherwise now, of anybody.
                    *self = Roster::default();
                    self.learn(tx.work(None, now).await?, now);
                    break;
                }
                self.learn(work, now);
            }
        }
        self.position = Some(head);
        Ok(())
    }

    /// An agent has other telephones, or is one since now or no more.
    fn knows_others(&self, agent: &Agent) -> bool {
        let telephones = |agent: &Agent| agent.profile.as_ref().map(|profile| profile.extensions.clone());
        self.agents.get(&agent.name).and_then(telephones) != telephones(agent)
    }

    /// Takes rows as they stand now.
    fn learn(&mut self, work: Work, now: Timestamp) {
        let Work { agents, conversations, known_by, reservations } = work;
        for agent in agents {
            self.desk.seat(&AgentName(agent.name.clone()), seat(&agent));
            self.agents.insert(agent.name.clone(), agent);
        }
        let mut by_conversation: BTreeMap<ConversationId, Vec<Reservation>> = BTreeMap::new();
        for row in reservations {
            by_conversation.entry(row.conversation).or_default().push(row);
        }
        for row in &conversations {
            let theirs = by_conversation.remove(&row.id).unwrap_or_default();
            self.put(row, row.client.and_then(|client| known_by.get(&client)), theirs, now);
        }
        self.knows(&conversations, &known_by);
        // Of conversations that did not change, or are not there any more.
        for (conversation, rows) in by_conversation {
            self.offered(conversation, rows, now);
        }
    }

    /// Who knows the client of these knows them in their other conversations too.
    fn knows(&mut self, rows: &[Conversation], known_by: &HashMap<ClientId, String>) {
        let clients: BTreeSet<ClientId> = rows.iter().filter_map(|row| row.client).collect();
        for client in clients {
            let knows = known_by.get(&client).map(|name| AgentName(name.clone()));
            for conversation in self.theirs.get(&client).into_iter().flatten() {
                if let Some(work) = self.desk.work(*conversation).filter(|work| work.arrival.knows != knows) {
                    let mut work = work.clone();
                    work.arrival.knows.clone_from(&knows);
                    self.desk.place(work);
                }
            }
        }
    }

    /// Keeps whose it is, while it is on the desk.
    fn belongs(&mut self, conversation: ConversationId, client: Option<ClientId>) {
        if let Some(before) = self.whose.remove(&conversation)
            && let Some(theirs) = self.theirs.get_mut(&before)
        {
            theirs.remove(&conversation);
            if theirs.is_empty() {
                self.theirs.remove(&before);
            }
        }
        if let Some(client) = client {
            self.whose.insert(conversation, client);
            self.theirs.entry(client).or_default().insert(conversation);
        }
    }

    fn put(&mut self, row: &Conversation, known_by: Option<&String>, rows: Vec<Reservation>, now: Timestamp) {
        self.offers.remove(&row.id);
        let standing = match &row.assignee {
            None if row.waits() => Standing::Waiting,
            Some(agent) if row.occupies() => Standing::Assigned { agent: AgentName(agent.clone()) },
            _ => {
                self.desk.remove(row.id);
                self.belongs(row.id, None);
                let open = rows.iter().filter(|row| row.state == ReservationState::Pending);
                self.stale.extend(open.map(|row| (row.id, row.conversation)));
                return;
            }
        };
        let arrival = Waiting {
            channel: row.channel,
            queue: row.queue.clone(),
            skills: row.routing.as_ref().map(|routing| routing.skills.clone()).unwrap_or_default(),
            place: row.place(),
            knows: known_by.map(|name| AgentName(name.clone())),
        };
        let resting = BTreeMap::new();
        let work = routing::desk::Work { arrival, standing, waits_since: row.handed_at, resting };
        self.desk.place(work);
        self.belongs(row.id, row.client);
        self.offered(row.id, rows, now);
    }

    /// The offers of a conversation, as they stand.
    fn offered(&mut self, conversation: ConversationId, rows: Vec<Reservation>, now: Timestamp) {
        let work = self.desk.work(conversation).cloned();
        let mut work = work.filter(|work| !matches!(work.standing, Standing::Assigned { .. }));
        for row in rows {
            self.stale.remove(&row.id);
            let agent = AgentName(row.agent.clone());
            match (row.state, &mut work) {
                (ReservationState::Pending, None) => {
                    self.stale.insert(row.id, conversation);
                }
                (ReservationState::Pending, Some(work)) => {
                    self.offers.insert(conversation, (row.id, row.agent));
                    work.standing = Standing::Offered { agent, until: row.until };
                }
                (_, Some(work)) => {
                    if self.offers.get(&conversation).is_some_and(|(id, _)| *id == row.id) {
                        self.offers.remove(&conversation);
                        work.standing = Standing::Waiting;
                    }
                    work.resting
                        .extend(row.rests_until.filter(|until| *until > now).map(|until| (agent, until)));
                }
                (_, None) => {}
            }
        }
        if let Some(work) = work {
            self.desk.place(work);
        }
    }

    /// Lets offers end whose time has come, and makes those that can be made.
    fn offer(&mut self, policy: &Policy, mut deeds: Deeds) -> Deeds {
        let now = deeds.now;
        for (reservation, conversation) in std::mem::take(&mut self.stale) {
            let how = OfferEnd::Rescinded;
            deeds.put(OFFERS, now, Deed::EndOffer { reservation, conversation, how, rests_until: None });
        }
        let decided = self.desk.decide(&policy.terms, now);
        deeds.more = decided.more;
        for change in decided.changes {
            let deed = match change {
                Change::Offered { conversation, agent: AgentName(agent), until } => {
                    Deed::Offer { conversation, agent, until }
                }
                Change::OfferEnded { conversation, how, rests_until, agent: _ } => {
                    let Some((reservation, _)) = self.offers.remove(&conversation) else { continue };
                    let how = match how {
                        Ended::TimedOut => OfferEnd::TimedOut,
                        Ended::Rescinded => OfferEnd::Rescinded,
                    };
                    Deed::EndOffer { reservation, conversation, how, rests_until }
                }
                Change::Returned { conversation, agent: AgentName(agent) } => {
                    Deed::Return { conversation, agent, reason: "the agent is gone".to_owned() }
                }
                Change::Away { agent: AgentName(agent) } => Deed::Appear { agent, presence: Presence::Away },
            };
            deeds.put(OFFERS, now, deed);
        }
        deeds
    }
}

fn seat(agent: &Agent) -> Seat {
    Seat {
        profile: agent.profile.clone().unwrap_or_default(),
        presence: agent.presence,
        connected: agent.is_connected(),
        gone_since: agent.gone_since,
        idle_since: agent.idle_since,
        missed: agent.missed,
    }
}
