//! Two clients who are one.

use contact::{Channel, ClientId, Event, MergeId, Permission};
use jiff::Timestamp;

use super::Desk;
use super::proof::ordered;
use crate::model::{Apart, FeedKind, Merge};

impl Desk {
    /// Joins two clients: everything of the one is the other's from now on. Who was merged before stands
    /// for the one they became.
    pub(super) fn take_merge(
        &mut self,
        event: &Event,
        (survivor, absorbed): (ClientId, ClientId),
        by: &str,
        reason: &str,
        now: Timestamp,
    ) {
        let (into, from) = (self.survivor(survivor), self.survivor(absorbed));
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
        for (channel, said) in gone.permissions {
            // Of two wishes the stricter holds.
            let wish = kept.permissions.entry(channel).or_insert(said);
            if said == Permission::Deny {
                *wish = said;
            }
        }
        kept.rev += 1;
        let (kept_rev, name) = (kept.rev, gone.name.unwrap_or_else(|| from.to_string()));
        self.clients.note(from);
        self.clients.note(into);
        self.merges.push(Merge {
            id: MergeId::derived(&event.key, event.received_at),
            survivor,
            absorbed,
            by: by.to_owned(),
            reason: reason.to_owned(),
            at: now,
            undone_at: None,
        });
        self.tell(FeedKind::Client, from.uuid(), gone.rev);
        self.tell(FeedKind::Client, into.uuid(), kept_rev);
        let summary = format!("Merged with {name}: {reason}");
        let merge = MergeId::derived(&event.key, event.received_at);
        let content = serde_json::json!({ "merge": merge, "absorbed": from, "reason": reason });
        self.show_act(event, Channel::Desk, Some(into), None, by, summary, content.to_string(), now);
    }

    /// Everything known of the one is the other's; the store does the same with what is not known here.
    fn repoint(&mut self, from: ClientId, into: ClientId, now: Timestamp) {
        self.absorbed.push((from, into));
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
        }
        let theirs: Vec<_> = self.known.messages.keys().filter(|(_, client)| *client == from).copied().collect();
        for (key, client) in theirs {
            if let Some(mut message) = self.known.messages.remove(&(key, client)) {
                message.client = into;
                self.known.messages.entry((key, into)).or_insert(message);
            }
        }
        for message in self.messages.iter_mut().filter(|row| row.client == from) {
            message.client = into;
        }
        let mut touched = Vec::new();
        for row in self.known.conversations.values_mut().filter(|row| row.client == Some(from)) {
            row.client = Some(into);
            row.rev += 1;
            row.updated_at = now;
            if row.is_open() {
                touched.push((row.id, row.thread.clone(), row.rev));
            }
        }
        touched.sort_unstable();
        for (id, thread, rev) in touched {
            self.open.remove(&(from, thread.clone()));
            self.open.entry((into, thread)).or_insert(id);
            self.conversations.note(id);
            self.tell(FeedKind::Conversation, id.uuid(), rev);
        }
    }

    /// They are two: no candidates, and no policy merges them.
    pub(super) fn take_apart(&mut self, [one, other]: [ClientId; 2], by: &str, reason: &str, now: Timestamp) {
        let clients = ordered(self.survivor(one), self.survivor(other));
        self.known.aparts.insert(clients);
        self.aparts.push(Apart { clients, by: by.to_owned(), reason: reason.to_owned(), at: now });
        for client in clients {
            self.change_client(client, |_| {});
        }
    }

    /// Who this client is today.
    pub(super) fn survivor(&self, client: ClientId) -> ClientId {
        self.known.clients.get(&client).and_then(|row| row.merged_into).unwrap_or(client)
    }
}
