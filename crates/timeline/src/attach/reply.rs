//! Answers: where they go, and what became of them.

use std::collections::hash_map::Entry::Vacant;

use contact::{
    Channel, ClientId, ContactId, ConversationId, Direction, EntryId, Event, Identifier, MailThread, Order,
    ReplyChange, SourceName, Trust,
};
use jiff::Timestamp;

use super::Desk;
use crate::hours;
use crate::mail::{self, LONGEST_SUMMARY, shortened};
use crate::model::{
    ChatLine, Contact, ContactState, Entry, EntryKind, FeedKind, Message, Reply, ReplyState, Status,
};

/// Where an answer in a conversation goes.
pub(crate) struct Route {
    pub(crate) source: SourceName,
    pub(crate) to: String,
    pub(crate) name: Option<String>,
    pub(crate) thread: Option<MailThread>,
    /// The visitor whose chat it is a line of.
    pub(crate) visitor: Option<String>,
}

/// Where an answer to this contact goes; `None` where nobody can be answered.
pub(crate) fn route(contact: &Contact) -> Option<Route> {
    match &contact.state {
        ContactState::Call(_) => None,
        ContactState::Email(mail) => {
            let (source, to, thread) = mail.answer()?;
            let name = to.name.clone();
            Some(Route { source, to: to.value.clone()?, name, thread: Some(thread), visitor: None })
        }
        ContactState::Chat(_) => {
            let (source, rest) = contact.key.0.strip_prefix("chat/")?.split_once('/')?;
            let digest = rest.split_once('/')?.0;
            let visitor = format!("{source}:{digest}");
            Some(Route {
                source: contact.source.clone(),
                to: visitor.clone(),
                name: None,
                thread: None,
                visitor: Some(visitor),
            })
        }
    }
}

impl Desk<'_> {
    pub(super) fn take_answer(
        &mut self,
        event: &Event,
        by: &str,
        conversation: ConversationId,
        text: &str,
        now: Timestamp,
    ) {
        let id = EntryId::derived(&event.key, event.received_at);
        if let Some(given) = self.answer_given(id, conversation) {
            return self.answer_again(event, given, now);
        }
        let conversation = self.meant(conversation);
        let Some(row) = self.known.conversations.get(&conversation) else { return };
        let client = row.client;
        let Some(route) = row.last_contact.and_then(|id| route(self.contact_by_id(id)?)) else { return };
        let seq = route
            .visitor
            .as_ref()
            .and_then(|visitor| self.next_line(visitor, id, by, text, event.occurred_at));
        if route.visitor.is_some() && seq.is_none() {
            return;
        }
        let goes_at = self.goes_at(&route.source, client, conversation, now);
        let reply = Reply {
            id,
            conversation,
            client,
            source: route.source,
            state: ReplyState::Queued,
            attempts: 0,
            doubts: 0,
            due_at: Some(goes_at),
            order: Order {
                reply: id,
                attempt: 0,
                written_at: event.occurred_at,
                to: route.to,
                name: route.name,
                agent: Some(by.to_owned()),
                text: text.to_owned(),
                thread: route.thread,
                seq,
            },
            detail: None,
            message_id: None,
            instead_of: None,
            rev: 0,
            recorded_at: now,
        };
        self.open_reply(reply, by, now);
    }

    /// Nobody is answered a second time: the answer went to whom it went, and is where that contact is now.
    fn answer_again(&mut self, event: &Event, given: Option<(Reply, ConversationId)>, now: Timestamp) {
        let Some((reply, conversation)) = given else { return };
        let by = reply.order.agent.clone().unwrap_or_default();
        if reply.order.seq.is_some() {
            self.next_line(&reply.order.to, reply.id, &by, &reply.order.text, event.occurred_at);
        }
        let row = self.known.conversations.get(&conversation);
        let client = row.map_or_else(|| reply.client.map(|id| self.survivor(id)), |row| row.client);
        self.open_reply(Reply { conversation, client, rev: 0, ..reply }, &by, now);
    }

    /// The same words by mail, because nobody read them in the chat.
    pub(super) fn take_by_mail(
        &mut self,
        event: &Event,
        chat: EntryId,
        source: &SourceName,
        to: &Identifier,
        now: Timestamp,
    ) {
        let id = EntryId::derived(&event.key, event.received_at);
        let Some(first) = self.known.replies.get(&chat) else { return };
        let place = first.conversation;
        if let Some(given) = self.answer_given(id, place) {
            return self.answer_again(event, given.map(|(reply, _)| (reply, self.current(place))), now);
        }
        let Some(first) = self.known.replies.get_mut(&chat) else { return };
        first.due_at = None;
        let first = Reply { conversation: place, ..first.clone() };
        self.replies.note(chat);
        let order = Order {
            reply: id,
            attempt: 0,
            to: to.value.clone(),
            thread: Some(MailThread::default()),
            seq: None,
            ..first.order.clone()
        };
        let by = first.order.agent.clone().unwrap_or_default();
        let goes_at = self.goes_at(source, first.client, self.current(place), now);
        let reply = Reply {
            id,
            source: source.clone(),
            state: ReplyState::Queued,
            attempts: 0,
            doubts: 0,
            due_at: Some(goes_at),
            order,
            detail: None,
            message_id: None,
            instead_of: Some(chat),
            rev: 0,
            recorded_at: now,
            ..first
        };
        self.open_reply(reply, &by, now);
    }

    pub(super) fn take_let_be(&mut self, chat: EntryId, reason: &str, now: Timestamp) {
        let Some(reply) = self.reply_told(chat) else { return };
        reply.due_at = None;
        reply.detail = Some(reason.to_owned());
        // What was never accepted will not arrive any more; of a doubt nobody knows.
        if matches!(reply.state, ReplyState::Queued | ReplyState::Deferred) {
            reply.state = ReplyState::Failed;
        }
        let lost = reply.is_lost();
        if self.again.is_none() {
            self.show_reply(chat);
        }
        if lost {
            self.lose(chat, now);
        }
    }

    pub(super) fn take_reply(&mut self, event: &Event, change: &ReplyChange, now: Timestamp) {
        let Some(reply) = self.reply_told(change.reply) else { return };
        let was_lost = reply.is_lost();
        if !reply.fold(event, change) {
            return;
        }
        let lost = reply.is_lost() && !was_lost;
        let key = reply.message_id.as_deref().map(mail::message_key);
        let Some(reply) = self.known.replies.get(&change.reply) else { return };
        if let (Some(client), Some(key)) = (reply.client, key)
            && let Vacant(unknown) = self.known.messages.entry((key, client))
        {
            let message = Message { key, client, contact: None, conversation: reply.conversation };
            self.messages.push(*unknown.insert(message));
        }
        // Taken again, an answer stands as it does in the end.
        if self.again.is_none() {
            self.keep_to_hours(change.reply);
            self.show_reply(change.reply);
        }
        if lost {
            self.lose(change.reply, now);
        }
    }

    /// The client does not have this answer and will not get it: they wait as before it was written, and
    /// somebody is to look again.
    fn lose(&mut self, id: EntryId, now: Timestamp) {
        let Some(reply) = self.known.replies.get(&id) else { return };
        let (at, place) = (reply.order.written_at, self.current(reply.conversation));
        // Where a mail brings what stands in a chat, the answer in the chat stays one.
        if reply.instead_of.is_none() {
            self.unanswered(place, at, self.wrote_at(place), now);
        }
        let ours = self.known.conversations.get(&place).is_some_and(|row| match row.status {
            Status::Pending => true,
            // Who resolved it took the client for answered; what came after the answer they saw.
            Status::Resolved => row.waiting_since.is_some_and(|since| since <= at),
            Status::Open | Status::Snoozed => false,
        });
        if ours {
            self.turn_to_us(place);
        }
        self.change_conversation(place, now, |_| {});
    }

    /// The next try, too, waits for the client's hours.
    fn keep_to_hours(&mut self, id: EntryId) {
        let Some(reply) = self.known.replies.get(&id) else { return };
        let Some(due_at) = reply.due_at else { return };
        let goes_at = self.goes_at(&reply.source, reply.client, self.current(reply.conversation), due_at);
        if let Some(reply) = self.known.replies.get_mut(&id) {
            reply.due_at = Some(goes_at);
        }
    }

    /// When an answer may go that would go at this moment. A mail waits for the hours in which the client
    /// wants to be reached, unless they wrote a moment ago; who chats is there, and waits for nothing.
    fn goes_at(
        &self,
        source: &SourceName,
        client: Option<ClientId>,
        conversation: ConversationId,
        at: Timestamp,
    ) -> Timestamp {
        let hours = client.and_then(|id| self.known.clients.get(&id)?.preferences.hours.as_ref());
        let Some(hours) = hours.filter(|_| source.channel() == Channel::Email) else { return at };
        let wrote_at = self.wrote_at(conversation);
        if wrote_at.is_some_and(|wrote| at.duration_since(wrote) < hours::THERE) {
            return at;
        }
        hours::opening(hours, at)
    }

    /// When the client reached us last in this conversation.
    fn wrote_at(&self, conversation: ConversationId) -> Option<Timestamp> {
        let contact = self.contact_by_id(self.known.conversations.get(&conversation)?.last_contact?)?;
        let visitor = route(contact).and_then(|route| route.visitor);
        let line = visitor.and_then(|visitor| self.known.chats.get(&visitor)).map(|chat| chat.last_at);
        line.max(Some(contact.occurred_at))
    }

    /// The next line of a chat, ours.
    fn next_line(
        &mut self,
        visitor: &str,
        entry: EntryId,
        by: &str,
        text: &str,
        at: Timestamp,
    ) -> Option<i64> {
        let chat = self.known.chats.get_mut(visitor)?;
        chat.seq += 1;
        let line = ChatLine {
            visitor: visitor.to_owned(),
            seq: chat.seq,
            entry,
            message_id: entry.to_string(),
            agent: Some(by.to_owned()),
            text: text.to_owned(),
            at,
        };
        self.chats.insert(visitor.to_owned());
        self.lines.push(line);
        self.known.chats.get(visitor).map(|chat| chat.seq)
    }

    /// Whoever answers takes the conversation if nobody has it, and then waits for the client.
    fn open_reply(&mut self, reply: Reply, by: &str, now: Timestamp) {
        let (id, conversation) = (reply.id, reply.conversation);
        if let Some(row) = self.known.conversations.get_mut(&conversation) {
            row.last_entry = Some(id);
            if reply.instead_of.is_none() {
                row.assignee.get_or_insert_with(|| by.to_owned());
                let owed = row.callback.as_ref().is_some_and(|callback| callback.done_at.is_none());
                if row.status == Status::Open && !owed {
                    row.status = Status::Pending;
                }
            }
        }
        if reply.instead_of.is_none() {
            let at = reply.order.written_at;
            self.answered(conversation, at);
            let client = self.known.conversations.get(&conversation).and_then(|row| row.client);
            self.reached_by_us(client, at, now);
            if let Some(client) = reply.client.and_then(|client| self.known.clients.get_mut(&client)) {
                if client.wrote_at.is_none_or(|last| last <= at) {
                    (client.known_by, client.wrote_at) = (Some(by.to_owned()), Some(at));
                }
                let id = client.id;
                self.clients.note(id);
            }
        }
        self.known.replies.insert(id, reply);
        self.show_reply(id);
        self.touch(conversation, now);
    }

    fn show_reply(&mut self, id: EntryId) {
        let Some(place) = self.known.replies.get(&id).map(|row| self.current(row.conversation)) else {
            return;
        };
        let Some(reply) = self.known.replies.get_mut(&id) else { return };
        reply.conversation = place;
        reply.rev += 1;
        let entry = Entry {
            id,
            kind: EntryKind::Reply,
            channel: reply.source.channel(),
            direction: Direction::Outbound,
            source: reply.source.clone(),
            trust: Trust::Verified,
            rev: reply.rev,
            occurred_at: reply.order.written_at,
            recorded_at: reply.recorded_at,
            client: reply.client,
            contact: None,
            conversation: Some(reply.conversation),
            agent: reply.order.agent.clone(),
            summary: shortened(reply.order.text.lines().next().unwrap_or_default(), LONGEST_SUMMARY),
            content: serde_json::to_string(&reply.content())
                .expect("an answer has no map with keys that are not text"),
        };
        let rev = reply.rev;
        self.replies.note(id);
        self.entries.put(id, entry);
        self.tell(FeedKind::Entry, id.uuid(), rev);
    }

    pub(super) fn contact_by_id(&self, id: ContactId) -> Option<&Contact> {
        self.known.contacts.values().find(|row| row.id == id)
    }
}
