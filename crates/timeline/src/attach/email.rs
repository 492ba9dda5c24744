//! Mails: which conversation they answer.

use std::collections::hash_map::Entry;

use contact::email::{AutomaticKind, Fate, Sender};
use contact::{ConversationId, Direction, Email, Event, Level, Party, ReplyChange, ReplyFate};
use jiff::Timestamp;

use super::{Desk, Shown, new_contact};
use crate::mail;
use crate::model::{Contact, ContactState, Message};

impl Desk<'_> {
    pub(super) fn take_email(&mut self, event: &Event, email: &Email, now: Timestamp) {
        let slot = event.contact.digest();
        let mut contact = self
            .known
            .contacts
            .remove(&slot)
            .unwrap_or_else(|| new_contact(event, ContactState::Email(Box::default()), now));
        let ContactState::Email(mail) = &mut contact.state else {
            // No connector names a mail like a call: it stays in the log and changes nothing.
            self.known.contacts.insert(slot, contact);
            return;
        };
        mail.fold(event, email);
        let persons = contact.direction == Direction::Inbound && !mail.is_automatic();
        // Machine mail and our own wait for nobody, and what was there before us is history.
        let waits = persons && !mail.is_imported();
        let shown = Shown {
            summary: mail.summary(),
            content: serde_json::to_string(&mail.content())
                .expect("a mail has no map with keys that are not text"),
            name: event.client_party().and_then(|party| party.name.as_deref()),
            reached_out: persons || contact.direction == Direction::Outbound,
            line: None,
        };
        contact.rev += 1;
        contact.occurred_at = mail.occurred_at().unwrap_or(event.occurred_at);
        contact.conversation = contact.conversation.map(|id| self.current(id));
        let nobodys = contact.client.is_none();
        let proved = event.direction == Direction::Inbound && email.from_is_proved();
        let level = if proved { Level::Proved } else { Level::Observed };
        self.own(event, &mut contact, now, |desk| desk.client_of(event, person(event, email), level, now));
        if nobodys {
            self.claim_mail(&contact);
        }
        if waits && contact.conversation.is_none() {
            let id = match self.conversation_answered(&contact, email) {
                Some(id) => self.reopen(id),
                None => self.begin(event, contact.client, event.contact.0.clone(), now),
            };
            contact.conversation = Some(id);
            if let Some(conversation) = self.known.conversations.get_mut(&id) {
                conversation.last_entry = Some(contact.entry);
                conversation.last_contact = Some(contact.id);
            }
            self.acted(id, contact.occurred_at);
        }
        self.remember(&contact, email);
        self.heard_back(event, email, now);
        self.show(&contact, shown, now);
        self.contacts.note(slot);
        self.known.contacts.insert(slot, contact);
    }

    /// The conversation of a mail that this one says it answers, the nearest first, where it is the same
    /// client's: whoever merely quotes an id joins nothing.
    fn conversation_answered(&self, contact: &Contact, email: &Email) -> Option<ConversationId> {
        let client = contact.client?;
        mail::answered(email)
            .filter_map(|key| self.known.messages.get(&(key, client)))
            .map(|message| self.current(message.conversation))
            .find(|id| self.known.conversations.get(id).is_some_and(|row| row.client == Some(client)))
    }

    /// The client wrote again: whatever it was waiting for, it waits for us now.
    fn reopen(&mut self, id: ConversationId) -> ConversationId {
        self.turn_to_us(id);
        if let Some(conversation) = self.known.conversations.get(&id)
            && let Some(client) = conversation.client
        {
            self.open.insert((client, conversation.thread.clone()), id);
        }
        id
    }

    /// The mail was nobody's until now. Nobody's conversation has no other mail, so it goes along.
    fn claim_mail(&mut self, contact: &Contact) {
        let (Some(client), Some(id)) = (contact.client, contact.conversation) else { return };
        let Some(conversation) = self.known.conversations.get_mut(&id) else { return };
        conversation.client = Some(client);
        if conversation.is_open() {
            self.open.insert((client, conversation.thread.clone()), id);
        }
    }

    /// A report says that an answer of ours did not arrive. Only who had the answer can know its id.
    fn heard_back(&mut self, event: &Event, email: &Email, now: Timestamp) {
        let Some(report) = &email.report else { return };
        let failed =
            report.recipients.iter().find(|one| matches!(one.fate, Fate::Failed | Fate::FailedForNow));
        let (Some(reply), Some(failed)) = (mail::answer_reported(email), failed) else { return };
        let Some(known) = self.known.replies.get(&reply) else { return };
        let why = failed.diagnostic.as_deref().or(failed.status.as_deref()).unwrap_or("it was returned");
        let change = ReplyChange {
            reply,
            attempt: known.attempts,
            fate: ReplyFate::Failed,
            detail: Some(format!("{}: {why}", failed.address)),
            message_id: None,
        };
        self.take_reply(event, &change, now);
    }

    /// Lets answers find the mail's conversation. Of two mails under one id the first is found.
    fn remember(&mut self, contact: &Contact, email: &Email) {
        let (Some(client), Some(conversation)) = (contact.client, contact.conversation) else { return };
        let Some(key) = mail::own(email) else { return };
        if let Entry::Vacant(unknown) = self.known.messages.entry((key, client)) {
            let message = Message { key, client, contact: Some(contact.id), conversation };
            self.messages.push(*unknown.insert(message));
        }
    }
}

/// The party whose mail it is. What nobody reads and what is our own is no client's address.
fn person<'a>(event: &'a Event, email: &Email) -> Option<&'a Party> {
    let own = email.automatic.as_ref().is_some_and(|machine| machine.kind == AutomaticKind::Own);
    let robot = event.direction == Direction::Inbound && email.sender == Sender::Robot;
    event.client_party().filter(|_| !own && !robot)
}
