//! Chats: whose line it is, its number, and which conversation it belongs to.

use contact::{ChatChange, ChatFact, ClientId, EntryId, Event, Level};
use jiff::Timestamp;

use super::{Desk, Shown, new_contact};
use crate::chat::{LineContent, Session, session_of, thread};
use crate::mail::{LONGEST_SUMMARY, shortened};
use crate::model::{Chat, ChatLine, ContactState};

impl Desk<'_> {
    pub(super) fn take_chat(&mut self, event: &Event, change: &ChatChange, now: Timestamp) {
        // No connector tells of a chat without saying whose: it stays in the log and changes nothing.
        let Some(visitor) = event.from.as_ref().and_then(|party| party.value.clone()) else { return };
        let level = if change.proved.is_empty() { Level::Observed } else { Level::Proved };
        let Some(client) = self.client_of(event, event.from.as_ref(), level, now) else { return };
        let fresh = || Chat {
            visitor: visitor.clone(),
            source: event.key.source.clone(),
            client: Some(client),
            conversation: None,
            seq: 0,
            read: 0,
            session: String::new(),
            last_at: event.occurred_at,
        };
        let mut chat = self.known.chats.remove(&visitor).unwrap_or_else(fresh);
        chat.client = Some(client);
        match &change.fact {
            ChatFact::Line { message_id, text } => {
                self.take_line(event, change, message_id, text, client, &mut chat, now);
            }
            ChatFact::Read { seq } => {
                chat.read = chat.read.max((*seq).min(chat.seq));
                self.take_silence(event, client, now);
            }
            ChatFact::Identified => self.take_silence(event, client, now),
        }
        self.chats.insert(visitor.clone());
        self.known.chats.insert(visitor, chat);
        self.prove(event, client, &change.proved, now);
        self.take_claims(client, &change.claimed, "stated in a chat", now);
    }

    /// Of a session in which nothing was written yet there is the contact and nothing to show, so that every
    /// fact of the log is some contact's.
    fn take_silence(&mut self, event: &Event, client: ClientId, now: Timestamp) {
        self.note_client(client);
        let slot = event.contact.digest();
        if self.known.contacts.contains_key(&slot) {
            return;
        }
        let mut contact = new_contact(event, ContactState::Chat(Session::default()), now);
        self.own(event, &mut contact, now, |_| Some(client));
        contact.rev = 1;
        self.contacts.note(slot);
        self.known.contacts.insert(slot, contact);
    }

    #[expect(clippy::too_many_arguments, reason = "what a line is made of")]
    fn take_line(
        &mut self,
        event: &Event,
        change: &ChatChange,
        message_id: &str,
        text: &str,
        client: ClientId,
        chat: &mut Chat,
        now: Timestamp,
    ) {
        let slot = event.contact.digest();
        let mut contact = self
            .known
            .contacts
            .remove(&slot)
            .unwrap_or_else(|| new_contact(event, ContactState::Chat(Session::default()), now));
        let ContactState::Chat(session) = &mut contact.state else {
            // No connector names a session like a call or a mail.
            self.known.contacts.insert(slot, contact);
            return;
        };
        if session.began_at().is_none() {
            contact.entry = EntryId::derived(&event.key, event.received_at);
        }
        session.fold(event, change.page.as_ref());
        contact.occurred_at = session.began_at().unwrap_or(event.occurred_at);
        self.own(event, &mut contact, now, |_| Some(client));
        // A session that a person gave to another client goes on there.
        let client = contact.client.unwrap_or(client);
        contact.rev += 1;
        let thread = thread(&chat.visitor);
        let key = (client, thread.clone());
        let conversation = match self.open.get(&key) {
            Some(open) => *open,
            None => self.begin(event, Some(client), thread, now),
        };
        contact.conversation = Some(conversation);
        chat.seq += 1;
        session_of(event).clone_into(&mut chat.session);
        chat.last_at = chat.last_at.max(event.occurred_at);
        chat.conversation = Some(conversation);
        let entry = EntryId::derived(&event.key, event.received_at);
        // The client wrote: whatever it was waiting for, it waits for us now.
        self.turn_to_us(conversation);
        if let Some(row) = self.known.conversations.get_mut(&conversation) {
            row.last_entry = Some(entry);
            row.last_contact = Some(contact.id);
        }
        self.acted(conversation, event.occurred_at);
        let content = LineContent { message_id, text, seq: chat.seq, page: change.page.as_ref() };
        let shown = Shown {
            summary: shortened(text.lines().next().unwrap_or_default(), LONGEST_SUMMARY),
            content: serde_json::to_string(&content).expect("a line has no map with keys that are not text"),
            name: change.proved.iter().chain(&change.claimed).find_map(|party| party.name.as_deref()),
            reached_out: true,
            line: Some((entry, event.occurred_at)),
        };
        self.show(&contact, shown, now);
        self.lines.push(ChatLine {
            visitor: chat.visitor.clone(),
            seq: chat.seq,
            entry,
            message_id: message_id.to_owned(),
            agent: None,
            text: text.to_owned(),
            at: event.occurred_at,
        });
        self.contacts.note(slot);
        self.known.contacts.insert(slot, contact);
    }
}
