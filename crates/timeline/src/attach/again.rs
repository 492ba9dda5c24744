//! A history taken once more, as if some merges had never been and some contacts had always been another's.
//!
//! What was decided is decided anew from the same facts; what was *done* is not done anew: an answer went to
//! whom it went, and what we did to something goes to what that thing is now.

use std::collections::{HashMap, HashSet};

use contact::{
    Act, Actor, Channel, ClientId, ContactId, Content, ConversationId, Deed, EntryId, Event, EventKey,
    MergeId,
};
use jiff::Timestamp;
use uuid::Uuid;

use super::proof::ordered;
use super::{Desk, Mode, Route, route};
use crate::model::{Arrival, Contact, Reply, ReplyState};
use crate::port::{Changes, Known};

/// What is different this time.
pub(super) struct Again {
    /// Merges that are left out.
    undone: HashSet<MergeId>,
    pins: HashMap<ContactId, Pin>,
    /// The contact whose event founded a client or conversation, by their ids.
    founders: HashMap<Uuid, [u8; 16]>,
    /// Our answers as they stand, each with the contact it answered.
    answers: HashMap<EntryId, (Reply, Option<[u8; 16]>)>,
    /// The same, as they stood when what has been taken so far had been told of them.
    told: HashMap<EntryId, Reply>,
    /// The decisions that policies took, by their ids.
    taken: HashSet<String>,
    /// Who was to be merged by a policy, by the id of its decision.
    decisions: HashMap<String, (ClientId, ClientId)>,
    /// Who would have been merged.
    pairs: HashMap<MergeId, (ClientId, ClientId)>,
}

/// Whom a merge joins.
pub(super) enum Joins {
    These((ClientId, ClientId)),
    /// It was undone.
    NotAnyMore((ClientId, ClientId)),
    /// This time there is nothing to join.
    Nobody,
}

/// A contact that a person gave to somebody.
struct Pin {
    to: ClientId,
    /// Nobody asks any more whom its party makes: they are known, or it has been given away.
    settled: bool,
}

/// Everything that these events make, the whole log of some clients in its order. `present` is what stands
/// now of what they made when they were taken before.
pub(crate) fn attach_again(events: Vec<Arrival>, present: &Changes) -> Changes {
    let mut desk = Desk::new(Known::default(), Mode::Replay);
    desk.again = Some(Again::new(&events, present));
    for arrival in events {
        desk.take(arrival);
    }
    desk.changes()
}

/// The contact by whose event each client and conversation of these events came to be.
pub(crate) fn founders(events: &[Arrival]) -> HashMap<Uuid, [u8; 16]> {
    let mut founders = HashMap::new();
    for Arrival { event, .. } in events {
        if matches!(event.content, Content::Call(_) | Content::Email(_) | Content::Chat(_)) {
            let slot = event.contact.digest();
            founders.insert(ClientId::derived(&event.key, event.received_at).uuid(), slot);
            founders.insert(ConversationId::derived(&event.key, event.received_at).uuid(), slot);
        }
    }
    founders
}

impl Again {
    fn new(events: &[Arrival], present: &Changes) -> Self {
        let (mut undone, mut pins, mut taken) = (HashSet::new(), HashMap::new(), HashSet::new());
        for Arrival { event, .. } in events {
            let Content::Act(act) = &event.content else { continue };
            if let Actor::Policy(_) = act.by {
                taken.insert(event.key.id.clone());
            }
            match &act.deed {
                Deed::Unmerge { merge, .. } => {
                    undone.insert(*merge);
                }
                Deed::Move { contact, client, .. } => {
                    let to = client.unwrap_or_else(|| ClientId::derived(&event.key, event.received_at));
                    // The last word counts.
                    pins.insert(*contact, Pin { to, settled: false });
                }
                _ => {}
            }
        }
        let routes = routes(&present.contacts);
        let answers =
            present.replies.iter().map(|row| (row.id, (row.clone(), answered(row, &routes)))).collect();
        let told = present.replies.iter().map(|row| (row.id, untold(row.clone()))).collect();
        Self {
            undone,
            pins,
            founders: founders(events),
            answers,
            told,
            taken,
            decisions: HashMap::new(),
            pairs: HashMap::new(),
        }
    }
}

/// The answer before anything was known of its tries.
fn untold(reply: Reply) -> Reply {
    let state = ReplyState::Queued;
    Reply { state, attempts: 0, doubts: 0, due_at: None, detail: None, message_id: None, ..reply }
}

/// Contacts by where an answer to them goes: the address, and of a mail its id.
type Routes<'a> = HashMap<(String, Option<String>), Vec<&'a Contact>>;

fn routes(contacts: &[Contact]) -> Routes<'_> {
    let mut routes = Routes::new();
    for contact in contacts {
        if let Some(Route { to, thread, .. }) = route(contact) {
            let parent = thread.and_then(|thread| thread.in_reply_to);
            routes.entry((to, parent)).or_default().push(contact);
        }
    }
    routes
}

/// The contact that an answer went to; of the sessions of a chat, the one of that time.
fn answered(reply: &Reply, routes: &Routes<'_>) -> Option<[u8; 16]> {
    let parent = reply.order.thread.as_ref().and_then(|thread| thread.in_reply_to.clone());
    let contacts = routes.get(&(reply.order.to.clone(), parent))?;
    let before = contacts.iter().filter(|row| row.recorded_at <= reply.recorded_at);
    before.max_by_key(|row| row.id).map(|row| row.key.digest())
}

impl Desk<'_> {
    /// Whose the contact is, where that is not known yet: whom `find` finds, unless a person gave it away.
    pub(super) fn own(
        &mut self,
        event: &Event,
        contact: &mut Contact,
        now: Timestamp,
        find: impl FnOnce(&mut Self) -> Option<ClientId>,
    ) {
        let pin = self.again.as_ref().and_then(|again| again.pins.get(&contact.id));
        let Some(Pin { to, settled }) = pin else {
            contact.client = contact.client.or_else(|| find(self));
            return;
        };
        let to = *to;
        if !settled && let Some(found) = find(self) {
            // They are known by the address they came by, though this contact is another's.
            self.note_client(found);
            self.settle_pin(contact.id);
        }
        if contact.client.is_none() {
            contact.client = Some(self.client_given(event, to, now));
        }
    }

    fn settle_pin(&mut self, contact: ContactId) {
        if let Some(pin) = self.again.as_mut().and_then(|again| again.pins.get_mut(&contact)) {
            pin.settled = true;
        }
    }

    /// The client of this id, today; they may be new.
    fn client_given(&mut self, event: &Event, id: ClientId, now: Timestamp) -> ClientId {
        let id = self.survivor(id);
        self.meet_client(id, event, now);
        id
    }

    /// The contact is another client's, here: it was from the beginning.
    pub(super) fn take_move(
        &mut self,
        event: &Event,
        contact: ContactId,
        to: Option<ClientId>,
        by: &str,
        reason: &str,
        now: Timestamp,
    ) {
        let to = to.unwrap_or_else(|| ClientId::derived(&event.key, event.received_at));
        let to = self.client_given(event, to, now);
        self.note_client(to);
        self.settle_pin(contact);
        let conversation = self.contact_by_id(contact).and_then(|row| row.conversation);
        let content = serde_json::json!({ "contact": contact, "reason": reason }).to_string();
        let summary = format!("A contact was moved here: {reason}");
        self.show_act(event, Channel::Desk, Some(to), conversation, by, summary, content, now);
    }

    /// The two are apart, here: they were never one.
    pub(super) fn take_unmerge(
        &mut self,
        event: &Event,
        merge: MergeId,
        by: &str,
        reason: &str,
        now: Timestamp,
    ) {
        let pair = self.again.as_ref().and_then(|again| again.pairs.get(&merge).copied());
        let Some((one, other)) = pair else { return };
        self.take_apart([one, other], by, reason, now);
        let [one, other] = [self.survivor(one), self.survivor(other)];
        let beside = Event {
            key: EventKey { source: event.key.source.clone(), id: format!("{}:other", event.key.id) },
            ..event.clone()
        };
        for (event, client, from) in [(event, one, other), (&beside, other, one)] {
            let summary = format!("Taken apart from {}: {reason}", self.name_of(from));
            let content = serde_json::json!({ "merge": merge, "apart": from, "reason": reason }).to_string();
            self.show_act(event, Channel::Desk, Some(client), None, by, summary, content, now);
        }
    }

    /// Whom a merge joins.
    pub(super) fn pair_of(
        &mut self,
        event: &Event,
        act: &Act,
        id: MergeId,
        named: (ClientId, ClientId),
    ) -> Joins {
        let Some(again) = &mut self.again else { return Joins::These(named) };
        let policy = matches!(act.by, Actor::Policy(_));
        // The proof says whom it proves to be one, this time.
        let pair = if policy { again.decisions.remove(&event.key.id) } else { Some(named) };
        if again.undone.contains(&id) {
            let pair = pair.unwrap_or(named);
            again.pairs.insert(id, pair);
            return Joins::NotAnyMore(pair);
        }
        let Some(pair) = pair else { return Joins::Nobody };
        // What a person has undone no policy does.
        if policy && self.is_undone(pair) {
            return Joins::Nobody;
        }
        Joins::These(pair)
    }

    /// A policy decides this; whether it did, the log says, and whether that counts, a person. Gives whether it
    /// is done.
    pub(super) fn decided(&mut self, key: &EventKey, act: &Act, now: Timestamp) -> bool {
        let Some(again) = &mut self.again else { return true };
        let Deed::Merge { survivor, absorbed, .. } = act.deed else { return true };
        let undone = again.undone.contains(&MergeId::derived(key, now));
        let done = again.taken.contains(&key.id) && !undone;
        again.decisions.insert(key.id.clone(), (survivor, absorbed));
        done && !self.is_undone((survivor, absorbed))
    }

    /// A merge of who these are today was undone.
    fn is_undone(&self, pair: (ClientId, ClientId)) -> bool {
        let today = |(one, other)| ordered(self.survivor(one), self.survivor(other));
        let mut undone = self.again.iter().flat_map(|again| again.pairs.values().copied());
        undone.any(|undone| today(undone) == today(pair))
    }

    /// Our answer as it stands, and the conversation it is in this time; `None` when answers are taken for
    /// the first time.
    pub(super) fn answer_given(
        &mut self,
        id: EntryId,
        conversation: ConversationId,
    ) -> Option<Option<(Reply, ConversationId)>> {
        let again = self.again.as_ref()?;
        let Some((reply, answered)) = again.answers.get(&id) else { return Some(None) };
        let place = answered.and_then(|slot| self.known.contacts.get(&slot)?.conversation);
        let place = place.map_or_else(|| self.meant(conversation), |place| self.current(place));
        Some(Some((reply.clone(), place)))
    }

    /// The answer as what was told of it so far makes it.
    pub(super) fn reply_told(&mut self, id: EntryId) -> Option<&mut Reply> {
        match &mut self.again {
            Some(again) => again.told.get_mut(&id),
            None => self.known.replies.get_mut(&id),
        }
    }

    /// Which conversation is meant by this id: this one, or the one it goes on in, or, where there is none
    /// this time, the one in which the contact is now that began it.
    pub(super) fn meant(&self, id: ConversationId) -> ConversationId {
        if self.known.conversations.contains_key(&id) {
            return self.current(id);
        }
        self.founder(id.uuid()).and_then(|row| row.conversation).map_or(id, |place| self.current(place))
    }

    /// Who has what made a client who is not there this time.
    pub(super) fn stand_in(&self, client: ClientId) -> Option<ClientId> {
        self.founder(client.uuid())?.client
    }

    fn founder(&self, id: Uuid) -> Option<&Contact> {
        self.known.contacts.get(self.again.as_ref()?.founders.get(&id)?)
    }
}
