//! A store of plain maps.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use contact::{Channel, ClientId, ContactId, ConversationId, EntryId, Identifier};
use jiff::{SignedDuration, Timestamp};
use timeline::act::{ActError, Acted, act_in};
use timeline::attach::{Mode, attach, wanted};
use timeline::replay::replay_in;
use timeline::{
    Agent, Apart, Arrival, Callback, Changes, Chat, ChatLine, Claim, Client, Contact, ContactState,
    Conversation, Entry, FeedItem, Holder, Known, Merge, Message, Policy, Relocation, Reply, Reservation,
    ReservationState, Wanted,
};

use crate::turn::Turn;

/// What mails and calls make, sorted.
pub(crate) type Projections = (Vec<Client>, Vec<Contact>, Vec<Conversation>, Vec<Entry>, Vec<Message>);

/// A store that keeps every row in a map and answers what it is asked, no more.
#[derive(Clone, Default)]
pub(crate) struct Memory {
    /// Every row there is, of what can be asked for.
    pub(crate) rows: Known,
    pub(crate) all: Rows,
    pub(crate) feed: Vec<FeedItem>,
    pub(crate) log: Vec<Arrival>,
    /// Whom the feed means by an id.
    pub(crate) agents: HashMap<uuid::Uuid, String>,
    /// The processes that said they were there, and until when.
    pub(crate) processes: BTreeMap<String, Timestamp>,
    pub(crate) policy: std::sync::Arc<Policy>,
}

/// The other rows, sorted.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Rows {
    pub(crate) entries: BTreeMap<EntryId, Entry>,
    pub(crate) holders: BTreeMap<Identifier, Holder>,
    pub(crate) claims: BTreeMap<(Identifier, ClientId), Claim>,
    pub(crate) aparts: BTreeMap<[ClientId; 2], Apart>,
    pub(crate) lines: BTreeMap<(String, i64), ChatLine>,
    pub(crate) relocations: Vec<Relocation>,
}

/// Everything that is projected, sorted.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Everything {
    pub(crate) projections: Projections,
    pub(crate) rows: Rows,
    pub(crate) chats: BTreeMap<String, Chat>,
    pub(crate) replies: BTreeMap<EntryId, Reply>,
    pub(crate) merges: BTreeMap<contact::MergeId, Merge>,
    pub(crate) agents: BTreeMap<String, Agent>,
    pub(crate) reservations: BTreeMap<contact::ReservationId, Reservation>,
}

impl Everything {
    /// Row by row what only the one or only the other has.
    pub(crate) fn differs_from(&self, other: &Everything) -> Vec<String> {
        let (one, other) = (self.lines(), other.lines());
        let only = |side: &str, row: &String| format!("{side}: {row}");
        one.difference(&other)
            .map(|row| only("left", row))
            .chain(other.difference(&one).map(|row| only("right", row)))
            .collect()
    }

    fn lines(&self) -> BTreeSet<String> {
        let (clients, contacts, conversations, entries, messages) = &self.projections;
        let mut lines = BTreeSet::new();
        macro_rules! add {
            ($($rows:expr),+) => { $(lines.extend($rows.map(|row| format!("{row:?}")));)+ };
        }
        add!(clients.iter(), contacts.iter(), conversations.iter(), entries.iter(), messages.iter());
        add!(self.rows.holders.values(), self.rows.claims.values(), self.rows.aparts.values());
        add!(self.rows.lines.values(), self.rows.entries.values(), self.rows.relocations.iter());
        add!(self.chats.values(), self.replies.values(), self.merges.values());
        add!(self.agents.values(), self.reservations.values());
        lines
    }
}

impl Memory {
    pub(crate) fn take(&mut self, events: Vec<Arrival>) {
        let changes = attach(self.read(&wanted(&events)), events, Mode::Live(&self.policy));
        self.apply(changes);
    }

    pub(crate) fn act(&mut self, arrival: Arrival) -> Result<Acted, ActError> {
        let policy = std::sync::Arc::clone(&self.policy);
        at_once(act_in(&mut Turn(self), &policy, arrival))
    }

    /// The log decided about once more, in an empty store.
    pub(crate) fn replayed(&self) -> Memory {
        let mut again = self.clone();
        at_once(replay_in(&mut Turn(&mut again))).unwrap();
        assert_eq!(again.feed, self.feed, "a replay adds nothing to the feed");
        assert_eq!(again.log.len(), self.log.len(), "a replay adds nothing to the log");
        again
    }

    pub(crate) fn projections(&self) -> Projections {
        (
            sorted(self.rows.clients.values(), |row| row.id),
            sorted(self.rows.contacts.values(), |row| row.id),
            sorted(self.rows.conversations.values(), |row| row.id),
            self.all.entries.values().cloned().collect(),
            sorted(self.rows.messages.values(), |row| (row.key, row.client)),
        )
    }

    pub(crate) fn everything(&self) -> Everything {
        Everything {
            projections: self.projections(),
            rows: self.all.clone(),
            chats: self.rows.chats.clone().into_iter().collect(),
            replies: self.rows.replies.clone().into_iter().collect(),
            merges: self.rows.merges.clone().into_iter().collect(),
            agents: self.rows.agents.clone().into_iter().collect(),
            reservations: self.rows.reservations.clone().into_iter().collect(),
        }
    }

    pub(crate) fn open(&self) -> Vec<&Conversation> {
        self.rows.conversations.values().filter(|conversation| conversation.is_open()).collect()
    }

    pub(crate) fn owed(&self) -> Vec<&Callback> {
        let callbacks = self.rows.conversations.values().filter_map(|row| row.callback.as_ref());
        callbacks.filter(|callback| callback.done_at.is_none()).collect()
    }

    /// What the port says a store answers.
    pub(crate) fn read(&self, wanted: &Wanted) -> Known {
        let rows = &self.rows;
        let mut known = Known {
            events: wanted.events.iter().filter(|key| rows.events.contains(*key)).copied().collect(),
            contacts: some(&rows.contacts, &wanted.contacts),
            holders: some(&rows.holders, &wanted.identifiers),
            merges: some(&rows.merges, &wanted.merges),
            replies: some(&rows.replies, &wanted.replies),
            log_position: rows.log_position,
            feed_position: rows.feed_position,
            ..Known::default()
        };
        let answered = known.replies.values().map(|row| row.conversation);
        let held = wanted.reservations.iter().filter_map(|id| Some(rows.reservations.get(id)?.conversation));
        let asked: Vec<_> = wanted.conversations.iter().copied().chain(answered).chain(held).collect();
        self.conversations(&asked, &mut known);
        let answers = known.replies.values().map(|row| row.order.to.clone());
        let talks = known.conversations.values().filter_map(|row| row.thread.strip_prefix("chat/"));
        let visitors = wanted.chats.iter().cloned().chain(answers).chain(talks.map(str::to_owned));
        known.chats = some(&rows.chats, &visitors.collect::<Vec<_>>());
        let latest = known.conversations.values().filter_map(|row| row.last_contact);
        let asked: HashSet<ContactId> = wanted.contact_ids.iter().copied().chain(latest).collect();
        let all = if asked.is_empty() { None } else { Some(rows.contacts.iter()) };
        let found = all.into_iter().flatten().filter(|(_, row)| asked.contains(&row.id));
        known.contacts.extend(found.map(|(key, row)| (*key, row.clone())));
        let whose = self.clients(wanted, &mut known);
        let all = if wanted.messages.is_empty() { None } else { Some(rows.messages.iter()) };
        let theirs = all
            .into_iter()
            .flatten()
            .filter(|((key, id), _)| wanted.messages.contains(key) && whose.contains(id));
        known.messages = theirs.map(|(key, row)| (*key, *row)).collect();
        let whole = whole(wanted, &known);
        let open = if whose.is_empty() { Vec::new() } else { self.open() };
        let beside_mails = |row: &Conversation| row.channel != Channel::Email || row.callback.is_some();
        let open = open.into_iter().filter(|row| {
            row.client.is_some_and(|id| whole.contains(&id) || whose.contains(&id) && beside_mails(row))
        });
        let placed = open
            .map(|row| row.id)
            .chain(known.contacts.values().filter_map(|row| row.conversation))
            .chain(known.messages.values().map(|row| row.conversation))
            .chain(known.chats.values().filter_map(|row| row.conversation));
        self.conversations(&placed.collect::<Vec<_>>(), &mut known);
        let pending = |row: &&Reservation| {
            row.state == ReservationState::Pending && known.conversations.contains_key(&row.conversation)
                || wanted.reservations.contains(&row.id)
        };
        let held = rows.reservations.values().filter(pending).map(|row| (row.id, row.clone()));
        known.reservations = held.collect();
        let named = known.conversations.values().filter_map(|row| row.assignee.clone());
        let named = named.chain(known.reservations.values().map(|row| row.agent.clone()));
        known.agents = some(&rows.agents, &named.chain(wanted.agents.iter().cloned()).collect::<Vec<_>>());
        if wanted.proofs {
            for Holder { identifier, client, .. } in self.all.holders.values() {
                if whose.contains(client) {
                    known.holdings.entry(*client).or_default().push(identifier.clone());
                }
            }
            let today = |id: ClientId| rows.clients.get(&id).and_then(|row| row.merged_into).unwrap_or(id);
            let pairs = self.all.aparts.keys().map(|pair| pair.map(today));
            known.aparts = pairs
                .filter(|pair| pair.iter().any(|id| whose.contains(id)))
                .map(|[one, other]| [one.min(other), one.max(other)])
                .collect();
        }
        known
    }

    fn clients(&self, wanted: &Wanted, known: &mut Known) -> HashSet<ClientId> {
        let mut whose: HashSet<ClientId> = known
            .contacts
            .values()
            .filter_map(|row| row.client)
            .chain(known.holders.values().map(|(client, _)| *client))
            .chain(known.conversations.values().filter_map(|row| row.client))
            .chain(known.replies.values().filter_map(|row| row.client))
            .chain(known.chats.values().filter_map(|row| row.client))
            .chain(wanted.clients.iter().copied())
            .collect();
        whose.retain(|id| self.rows.clients.contains_key(id));
        let survivors: Vec<_> = whose.iter().filter_map(|id| self.rows.clients[id].merged_into).collect();
        whose.extend(survivors);
        known.clients = whose.iter().map(|id| (*id, self.rows.clients[id].clone())).collect();
        whose
    }

    fn conversations(&self, asked: &[ConversationId], known: &mut Known) {
        for id in asked {
            let mut next = Some(*id);
            while let Some(row) = next.and_then(|id| self.rows.conversations.get(&id)) {
                known.conversations.insert(row.id, row.clone());
                next = row.continued_in;
            }
        }
    }

    pub(crate) fn apply(&mut self, changes: Changes) {
        for (absorbed, survivor) in &changes.absorbed {
            self.absorb(*absorbed, *survivor);
        }
        for (position, arrival) in changes.log {
            assert_eq!(position, self.rows.log_position + 1, "the log has no gap");
            self.rows.log_position = position;
            self.rows.events.insert(arrival.event.key.digest());
            self.log.push(arrival);
        }
        for item in changes.feed {
            assert_eq!(item.position, self.rows.feed_position + 1, "the feed has no gap");
            self.rows.feed_position = item.position;
            self.feed.push(item);
        }
        let (rows, all) = (&mut self.rows, &mut self.all);
        rows.clients.extend(changes.clients.into_iter().map(|row| (row.id, row)));
        let held = changes.holders.iter().map(|row| (row.identifier.clone(), (row.client, row.level)));
        rows.holders.extend(held);
        rows.contacts.extend(changes.contacts.into_iter().map(|row| (row.key.digest(), row)));
        rows.conversations.extend(changes.conversations.into_iter().map(|row| (row.id, row)));
        rows.messages.extend(changes.messages.into_iter().map(|row| ((row.key, row.client), row)));
        rows.chats.extend(changes.chats.into_iter().map(|row| (row.visitor.clone(), row)));
        rows.replies.extend(changes.replies.into_iter().map(|row| (row.id, row)));
        rows.merges.extend(changes.merges.into_iter().map(|row| (row.id, row)));
        self.agents.extend(changes.agents.iter().map(|row| (Agent::id(&row.name), row.name.clone())));
        rows.agents.extend(changes.agents.into_iter().map(|row| (row.name.clone(), row)));
        rows.reservations.extend(changes.reservations.into_iter().map(|row| (row.id, row)));
        all.entries.extend(changes.entries.into_iter().map(|row| (row.id, row)));
        all.holders.extend(changes.holders.into_iter().map(|row| (row.identifier.clone(), row)));
        for row in changes.claims {
            claim(&mut all.claims, row);
        }
        all.aparts.extend(changes.aparts.into_iter().map(|row| (row.clients, row)));
        all.lines.extend(changes.chat_lines.into_iter().map(|row| ((row.visitor.clone(), row.seq), row)));
        all.relocations.extend(changes.relocations);
    }

    fn absorb(&mut self, from: ClientId, into: ClientId) {
        let (rows, all) = (&mut self.rows, &mut self.all);
        macro_rules! given {
            ($rows:expr) => {
                $rows.filter(|row| row.client == Some(from)).for_each(|row| {
                    row.client = Some(into);
                    row.rev += 1;
                })
            };
        }
        given!(rows.contacts.values_mut());
        given!(all.entries.values_mut());
        given!(rows.conversations.values_mut());
        given!(rows.replies.values_mut());
        rows.chats
            .values_mut()
            .filter(|row| row.client == Some(from))
            .for_each(|row| row.client = Some(into));
        rows.holders.values_mut().filter(|held| held.0 == from).for_each(|held| held.0 = into);
        all.holders.values_mut().filter(|row| row.client == from).for_each(|row| row.client = into);
        for ((key, client), row) in rows.messages.clone() {
            if client == from {
                rows.messages.remove(&(key, from));
                rows.messages.entry((key, into)).or_insert(Message { client: into, ..row });
            }
        }
        for ((identifier, client), row) in all.claims.clone() {
            if client == from {
                all.claims.remove(&(identifier, from));
                claim(&mut all.claims, Claim { client: into, ..row });
            }
        }
        let merged = rows.clients.values_mut().filter(|row| row.merged_into == Some(from));
        merged.for_each(|row| row.merged_into = Some(into));
    }
}

/// Who is wanted with everything that is open.
fn whole(wanted: &Wanted, known: &Known) -> HashSet<ClientId> {
    let meant = wanted.whole.iter().filter_map(|identifier| Some(known.holders.get(identifier)?.0));
    let no_mails = known.contacts.values().filter(|row| !matches!(row.state, ContactState::Email(_)));
    let meant = meant.chain(wanted.clients.iter().copied()).chain(no_mails.filter_map(|row| row.client));
    let today = |id: ClientId| known.clients.get(&id).and_then(|row| row.merged_into);
    meant.flat_map(|id| [Some(id), today(id)]).flatten().collect()
}

/// The earliest stays.
fn claim(claims: &mut BTreeMap<(Identifier, ClientId), Claim>, row: Claim) {
    let kept = claims.entry((row.identifier.clone(), row.client)).or_insert_with(|| row.clone());
    if (row.since, &row.reason) < (kept.since, &kept.reason) {
        *kept = row;
    }
}

/// What waits for nothing is ready at once.
pub(crate) fn at_once<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("a store of maps waits for nothing"),
    }
}

fn some<K: Clone + Eq + std::hash::Hash, V: Clone>(rows: &HashMap<K, V>, wanted: &[K]) -> HashMap<K, V> {
    wanted.iter().filter_map(|key| Some((key.clone(), rows.get(key)?.clone()))).collect()
}

pub(crate) fn sorted<'a, T: Clone + 'a, K: Ord>(
    rows: impl Iterator<Item = &'a T>,
    key: impl Fn(&T) -> K,
) -> Vec<T> {
    let mut rows: Vec<T> = rows.cloned().collect();
    rows.sort_by_key(key);
    rows
}

pub(crate) fn at(minute: i64, second: i64) -> Timestamp {
    let noon: Timestamp = "2026-11-21T12:00:00Z".parse().unwrap();
    noon + SignedDuration::from_secs(minute * 60 + second)
}
