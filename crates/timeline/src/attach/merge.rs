//! Two clients who are one, and two who are not.

use std::collections::btree_map::Entry;

use contact::{Act, Actor, Channel, ClientId, ConversationId, Event, MergeId, Permission};
use jiff::Timestamp;
use routing::promise::Fact;

use super::Desk;
use super::again::Joins;
use super::proof::ordered;
use crate::model::{Apart, Callback, FeedKind, Merge, Preferences, Status};

impl Desk<'_> {
    /// Joins two clients: everything of the one is the other's from now on. Who was merged before stands
    /// for the one they became.
    pub(super) fn take_merge(
        &mut self,
        event: &Event,
        act: &Act,
        pair: (ClientId, ClientId),
        reason: &str,
        now: Timestamp,
    ) {
        let by = act.by.name();
        let id = MergeId::derived(&event.key, event.received_at);
        let (survivor, absorbed) = match self.pair_of(event, act, id, pair) {
            Joins::These(pair) => pair,
            Joins::NotAnyMore(pair) => return self.show_merge(event, id, by, pair, reason, now),
            Joins::Nobody => return,
        };
        let (mut into, mut from) = (self.survivor(survivor), self.survivor(absorbed));
        if matches!(act.by, Actor::Policy(_)) {
            [into, from] = ordered(into, from);
        }
        if into == from || !self.known.clients.contains_key(&into) {
            return;
        }
        let Some(gone) = self.known.clients.get_mut(&from) else { return };
        gone.merged_into = Some(into);
        gone.rev += 1;
        let gone = gone.clone();
        self.repoint(from, into, now);
        let Some(kept) = self.known.clients.get_mut(&into) else { return };
        kept.name = kept.name.take().or(gone.name.clone());
        kept.segment = kept.segment.take().or(gone.segment);
        kept.created_at = kept.created_at.min(gone.created_at);
        kept.last_contact_at = kept.last_contact_at.max(gone.last_contact_at);
        kept.reached_at = kept.reached_at.max(gone.reached_at);
        kept.value = kept.value.max(gone.value);
        kept.owner = kept.owner.take().or(gone.owner);
        if kept.known_by.is_none() || kept.wrote_at < gone.wrote_at {
            (kept.known_by, kept.wrote_at) = (gone.known_by.or(kept.known_by.take()), gone.wrote_at);
        }
        kept.talks.join(&gone.talks);
        kept.won_back_at = kept.won_back_at.max(gone.won_back_at);
        join_wishes(&mut kept.preferences, gone.preferences);
        kept.rev += 1;
        let kept_rev = kept.rev;
        self.clients.note(from);
        self.clients.note(into);
        self.merges.push(Merge {
            id,
            survivor,
            absorbed,
            by: by.to_owned(),
            reason: reason.to_owned(),
            at: now,
            undone_at: None,
        });
        self.tell(FeedKind::Client, from.uuid(), gone.rev);
        self.tell(FeedKind::Client, into.uuid(), kept_rev);
        self.show_merge(event, id, by, (into, from), reason, now);
    }

    /// The line on the survivor's timeline; it stays when the merge is undone.
    fn show_merge(
        &mut self,
        event: &Event,
        id: MergeId,
        by: &str,
        (survivor, absorbed): (ClientId, ClientId),
        reason: &str,
        now: Timestamp,
    ) {
        let into = self.survivor(survivor);
        let Some(name) = self.known.clients.get(&into).map(|_| self.name_of(absorbed)) else { return };
        let summary = format!("Merged with {name}: {reason}");
        let content = serde_json::json!({ "merge": id, "absorbed": absorbed, "reason": reason });
        self.show_act(event, Channel::Desk, Some(into), None, by, summary, content.to_string(), now);
    }

    /// What a person calls this client.
    pub(super) fn name_of(&self, client: ClientId) -> String {
        let row = self.known.clients.get(&client);
        row.and_then(|row| row.name.clone()).unwrap_or_else(|| client.to_string())
    }

    /// Everything known of the one is the other's; the store does the same with what is not known here.
    fn repoint(&mut self, from: ClientId, into: ClientId, now: Timestamp) {
        self.absorbed.push((from, into));
        for client in self.known.clients.values_mut().filter(|row| row.merged_into == Some(from)) {
            client.merged_into = Some(into);
        }
        self.known.aparts = std::mem::take(&mut self.known.aparts)
            .into_iter()
            .map(|pair| pair.map(|client| if client == from { into } else { client }))
            .map(|[one, other]| ordered(one, other))
            .collect();
        for (holder, _) in self.known.holders.values_mut() {
            if *holder == from {
                *holder = into;
            }
        }
        let held = self.known.holdings.remove(&from).unwrap_or_default();
        self.known.holdings.entry(into).or_default().extend(held);
        for holder in self.holders.iter_mut().filter(|row| row.client == from) {
            holder.client = into;
        }
        for claim in self.claims.iter_mut().filter(|row| row.client == from) {
            claim.client = into;
        }
        for contact in self.known.contacts.values_mut().filter(|row| row.client == Some(from)) {
            contact.client = Some(into);
            contact.rev += 1;
        }
        self.entries.change(|entry| {
            if entry.client == Some(from) {
                entry.client = Some(into);
                entry.rev += 1;
            }
        });
        for chat in self.known.chats.values_mut().filter(|row| row.client == Some(from)) {
            chat.client = Some(into);
        }
        for reply in self.known.replies.values_mut().filter(|row| row.client == Some(from)) {
            reply.client = Some(into);
            reply.rev += 1;
        }
        let theirs: Vec<_> =
            self.known.messages.keys().filter(|(_, client)| *client == from).copied().collect();
        for (key, client) in theirs {
            if let Some(mut message) = self.known.messages.remove(&(key, client)) {
                message.client = into;
                self.known.messages.entry((key, into)).or_insert(message);
            }
        }
        for message in self.messages.iter_mut().filter(|row| row.client == from) {
            message.client = into;
        }
        let stays = &self.known.messages;
        self.messages.retain(|row| row.client != into || stays.get(&(row.key, into)) == Some(row));
        let mut waiting = Vec::new();
        for row in self.known.conversations.values_mut().filter(|row| row.client == Some(from)) {
            row.client = Some(into);
            row.rev += 1;
            if row.is_open() {
                row.updated_at = now;
                waiting.push((row.id, row.thread.clone(), row.rev));
            }
        }
        waiting.sort_unstable();
        for (id, thread, rev) in waiting {
            self.open.remove(&(from, thread.clone()));
            self.conversations.note(id);
            self.tell(FeedKind::Conversation, id.uuid(), rev);
            self.wait(into, thread, id, now);
        }
    }

    /// The conversation waits. Where the client has another one of that thread waiting they are one: the
    /// younger goes on in the older, which owes what both owed.
    pub(super) fn wait(&mut self, client: ClientId, thread: String, id: ConversationId, now: Timestamp) {
        let other = *self.open.entry((client, thread.clone())).or_insert(id);
        if other == id {
            return;
        }
        let (older, younger) = (id.min(other), id.max(other));
        let Some(gone) = self.known.conversations.get_mut(&younger) else { return };
        let was = gone.clone();
        gone.status = Status::Resolved;
        gone.continued_in = Some(older);
        gone.callback = None;
        gone.clocks.clear();
        gone.on_line.clear();
        let Some(kept) = self.known.conversations.get_mut(&older) else { return };
        let rested = was.status == Status::Snoozed;
        kept.status = kept.status.min(was.status);
        kept.priority = kept.priority.max(was.priority);
        kept.assignee = kept.assignee.take().or(was.assignee);
        if kept.routing.is_none() {
            kept.queue.clone_from(&was.queue);
            kept.routing = was.routing;
        }
        for (kind, mut clock) in was.clocks {
            // What rested rests no more where the other does not.
            if rested && kept.status != Status::Snoozed && clock.ended().is_none() {
                clock.fold(now, Fact::Resumed);
            }
            match kept.clocks.entry(kind) {
                Entry::Vacant(free) => drop(free.insert(clock)),
                Entry::Occupied(mut own) => own.get_mut().join(clock),
            }
        }
        kept.waiting_since = kept.waiting_since.into_iter().chain(was.waiting_since).min();
        kept.snoozed_until = kept.snoozed_until.max(was.snoozed_until);
        kept.assigned_at = kept.assigned_at.into_iter().chain(was.assigned_at).min();
        kept.answered_at = kept.answered_at.into_iter().chain(was.answered_at).min();
        kept.last_answer_at = kept.last_answer_at.max(was.last_answer_at);
        kept.on_line.extend(was.on_line);
        kept.callback = owed(kept.callback.take(), was.callback);
        // Ids sort by arrival.
        kept.last_entry = kept.last_entry.max(was.last_entry);
        kept.last_contact = kept.last_contact.max(was.last_contact);
        self.open.insert((client, thread), older);
        self.touch(older, now);
        self.touch(younger, now);
    }

    /// Where this conversation goes on: mostly in itself.
    pub(super) fn current(&self, id: ConversationId) -> ConversationId {
        crate::act::current(&self.known, id).map_or(id, |row| row.id)
    }

    /// They are two: no candidates, and no policy merges them.
    pub(super) fn take_apart(&mut self, [one, other]: [ClientId; 2], by: &str, reason: &str, now: Timestamp) {
        // It is said of these two, whoever they are merged with: who is not a part is not the whole either.
        let clients = ordered(one, other);
        let today = ordered(self.survivor(one), self.survivor(other));
        self.known.aparts.insert(today);
        self.aparts.retain(|row| row.clients != clients);
        self.aparts.push(Apart { clients, by: by.to_owned(), reason: reason.to_owned(), at: now });
        for client in today {
            self.change_client(client, |_| {});
        }
    }

    /// Who this client is today.
    pub(super) fn survivor(&self, client: ClientId) -> ClientId {
        match self.known.clients.get(&client) {
            Some(row) => row.merged_into.unwrap_or(client),
            None => self.stand_in(client).unwrap_or(client),
        }
    }
}

/// What two said about how they want to be worked with, as one. Of two wishes about a channel the stricter holds.
fn join_wishes(kept: &mut Preferences, gone: Preferences) {
    for (channel, said) in gone.channels {
        let denies = said.permission == Permission::Deny;
        let wish = kept.channels.entry(channel).or_insert_with(|| said.clone());
        if denies && wish.permission != Permission::Deny {
            *wish = said;
        }
    }
    kept.preferred_channel = kept.preferred_channel.or(gone.preferred_channel);
    kept.language = kept.language.take().or(gone.language);
    kept.hours = kept.hours.take().or(gone.hours);
}

/// What two callbacks amount to. What is done is owed no more.
fn owed(one: Option<Callback>, other: Option<Callback>) -> Option<Callback> {
    match (one, other) {
        (Some(one), Some(other)) if one.done_at.is_none() && other.done_at.is_none() => Some(Callback {
            attempts: one.attempts + other.attempts,
            missed: one.missed + other.missed,
            since: one.since.min(other.since),
            last: one.last.max(other.last),
            done_at: None,
            given_up: false,
        }),
        (Some(one), Some(other)) => Some(if one.done_at.is_none() { one } else { other }),
        (one, other) => one.or(other),
    }
}
