//! What everybody sees of a decision: the entry on the timeline, the next revision, the change in the feed.

use contact::{ClientId, ConversationId, EntryId};
use jiff::Timestamp;
use uuid::Uuid;

use super::{Desk, Mode};
use crate::model::{Announcement, Contact, Entry, EntryKind, FeedItem, FeedKind};
use crate::stage;

/// What of a contact is put on the timeline.
pub(super) struct Shown<'a> {
    pub(super) summary: String,
    /// JSON, by channel.
    pub(super) content: String,
    /// What the channel calls the client.
    pub(super) name: Option<&'a str>,
    /// It was the client or one of us; machine mail is neither.
    pub(super) reached_out: bool,
    /// Of a contact of many entries: this one, and when it was.
    pub(super) line: Option<(EntryId, Timestamp)>,
}

impl Desk<'_> {
    /// Puts the contact's present state on the timeline, and tells everyone what changed.
    pub(super) fn show(&mut self, contact: &Contact, shown: Shown<'_>, now: Timestamp) {
        let (id, rev, occurred_at) = match shown.line {
            Some((id, at)) => (id, 1, at),
            None => (contact.entry, contact.rev, contact.occurred_at),
        };
        let entry = Entry {
            id,
            kind: EntryKind::Contact,
            channel: contact.source.channel(),
            direction: contact.direction,
            source: contact.source.clone(),
            trust: contact.trust,
            rev,
            occurred_at,
            recorded_at: if shown.line.is_some() { now } else { contact.recorded_at },
            client: contact.client,
            contact: Some(contact.id),
            conversation: contact.conversation,
            agent: None,
            summary: shown.summary,
            content: shown.content,
        };
        self.entries.put(entry.id, entry);
        if let Some(client_id) = contact.client
            && let Some(client) = self.known.clients.get_mut(&client_id)
        {
            let name = identity::name_after(client.name.as_deref(), shown.name);
            if shown.reached_out {
                if client.rev > 0 && stage::wins_back(client, occurred_at) {
                    client.won_back_at = client.won_back_at.max(Some(occurred_at));
                }
                client.last_contact_at = client.last_contact_at.max(occurred_at);
            }
            self.clients.note(client_id);
            if client.rev == 0 || name != client.name {
                client.name = name;
                client.rev += 1;
                let rev = client.rev;
                self.tell(FeedKind::Client, client_id.uuid(), rev);
            }
        }
        self.tell(FeedKind::Entry, id.uuid(), rev);
        if let Some(id) = contact.conversation {
            self.touch(id, now);
        }
    }

    /// A client of whom nothing is shown yet is written all the same.
    pub(super) fn note_client(&mut self, id: ClientId) {
        self.clients.note(id);
        if let Some(client) = self.known.clients.get_mut(&id).filter(|client| client.rev == 0) {
            client.rev = 1;
            self.tell(FeedKind::Client, id.uuid(), 1);
        }
    }

    /// One more revision of a conversation, told to everyone.
    pub(super) fn touch(&mut self, id: ConversationId, now: Timestamp) {
        self.follow(id, now);
        let Some(conversation) = self.known.conversations.get_mut(&id) else { return };
        conversation.rev += 1;
        conversation.updated_at = now;
        let rev = conversation.rev;
        self.conversations.note(id);
        self.tell(FeedKind::Conversation, id.uuid(), rev);
    }

    pub(super) fn tell(&mut self, kind: FeedKind, id: Uuid, rev: i64) {
        self.announce(kind, id, rev, None);
    }

    pub(super) fn announce(&mut self, kind: FeedKind, id: Uuid, rev: i64, notice: Option<Announcement>) {
        if matches!(self.mode, Mode::Live(_)) {
            self.known.feed_position += 1;
            self.feed.push(FeedItem { position: self.known.feed_position, kind, id, rev, notice });
        }
    }
}
