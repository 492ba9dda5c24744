//! What we did ourselves.

use contact::{
    Act, Channel, ClientId, ConversationId, Deed, Direction, EntryId, Event, EventKey, PromiseKind,
    SourceName, Trust,
};
use jiff::Timestamp;

use super::Desk;
use crate::clock::Clock;
use crate::mail::{LONGEST_SUMMARY, shortened};
use crate::model::{Arrival, Client, Conversation, Entry, EntryKind, FeedKind, Status, Wish};

impl Desk<'_> {
    pub(super) fn take_act(&mut self, event: &Event, act: &Act, now: Timestamp) {
        let by = act.by.name();
        match &act.deed {
            Deed::Merge { survivor, absorbed, reason } => {
                self.take_merge(event, act, (*survivor, *absorbed), reason, now);
            }
            Deed::KeepApart { clients, reason } => self.take_apart(*clients, by, reason, now),
            Deed::Note { client, conversation, text } => {
                let summary = shortened(text.lines().next().unwrap_or_default(), LONGEST_SUMMARY);
                let content = serde_json::json!({ "text": text }).to_string();
                let client = self.survivor(*client);
                let conversation = conversation.map(|id| self.meant(id));
                self.show_act(event, Channel::Desk, Some(client), conversation, by, summary, content, now);
            }
            Deed::Reply { conversation, text } => self.take_answer(event, by, *conversation, text, now),
            Deed::ReplyByMail { reply, source, to } => self.take_by_mail(event, *reply, source, to, now),
            Deed::LetBe { reply, reason } => self.take_let_be(*reply, reason, now),
            Deed::Claim { conversation } => {
                self.change_conversation(*conversation, now, |row| row.assignee = Some(by.to_owned()));
            }
            Deed::Assign { conversation, to, .. } => {
                self.change_conversation(*conversation, now, |row| row.assignee.clone_from(to));
            }
            Deed::Resolve { conversation } => {
                self.withdrawn(*conversation, now);
                self.change_conversation(*conversation, now, |row| {
                    row.status = Status::Resolved;
                    let kept = row.clocks.get(&PromiseKind::Callback).is_some_and(Clock::is_kept);
                    if let Some(callback) = row.callback.as_mut().filter(|callback| callback.is_pending()) {
                        (callback.done_at, callback.given_up) = (Some(now), !kept);
                    }
                });
            }
            Deed::Reopen { conversation } => {
                self.change_conversation(*conversation, now, |row| row.status = Status::Open);
            }
            Deed::Change { client, name, channels, preferred_channel, language, hours } => {
                self.change_client(self.survivor(*client), |row| {
                    if let Some(name) = name {
                        row.name = Some(name.clone()).filter(|name| !name.is_empty());
                    }
                    let wishes = &mut row.preferences;
                    for (channel, permission) in channels {
                        let wish = Wish { permission: *permission, by: by.to_owned(), at: event.occurred_at };
                        wishes.channels.insert(*channel, wish);
                    }
                    if let Some(channel) = preferred_channel {
                        wishes.preferred_channel = *channel;
                    }
                    if let Some(language) = language {
                        wishes.language.clone_from(language);
                    }
                    if let Some(hours) = hours {
                        wishes.hours.clone_from(hours);
                    }
                });
            }
            Deed::Snooze { conversation, until } => self.take_snooze(*conversation, *until, now),
            Deed::Wake { conversation } => self.take_wake(*conversation, event.occurred_at, now),
            Deed::OweCall { conversation, .. } => self.take_owed_call(*conversation, now),
            Deed::CallDone { conversation } => self.take_done_call(*conversation, now),
            Deed::Route { conversation, decision, deadlines } => {
                self.take_route(event, *conversation, decision, deadlines, now);
            }
            Deed::Reckon { conversation, deadline } => self.take_reckoning(*conversation, deadline, now),
            Deed::Notify { conversation, promise, notice, at } => {
                self.take_notice(*conversation, *promise, *notice, *at, now);
            }
            Deed::Offer { conversation, agent, until } => {
                self.take_offer(event, *conversation, agent, *until, now);
            }
            Deed::EndOffer { reservation, how, rests_until, .. } => {
                self.take_end_of_offer(*reservation, *how, *rests_until, now);
            }
            Deed::Accept { reservation, conversation } => {
                self.take_acceptance(*reservation, *conversation, by, now);
            }
            Deed::Decline { reservation, rests_until, .. } => {
                self.take_decline(*reservation, *rests_until, now);
            }
            Deed::Return { conversation, agent, .. } => self.take_return(*conversation, agent, now),
            Deed::Engage { agent, profile } => self.take_engagement(agent, profile.as_ref(), now),
            Deed::Appear { agent, presence } => self.take_appearance(agent, *presence, now),
            Deed::Connect { agent, process, open } => self.take_connection(agent, process, *open, now),
            Deed::Introduce(introduction) => self.take_introduction(event, introduction, by, now),
            // Both take everything of the clients again, see `crate::unmerge`; this is their part in it.
            Deed::Unmerge { merge, reason } => self.take_unmerge(event, *merge, by, reason, now),
            Deed::Move { contact, client, reason } => {
                self.take_move(event, *contact, *client, by, reason, now);
            }
        }
    }

    /// A decision of ours that follows from this event, an event of its own: it is taken after this one. Gives
    /// whether it is; once it was left out, when it was undone.
    pub(super) fn decide(&mut self, cause: &Event, what: &str, act: Act, now: Timestamp) -> bool {
        let id = format!("{}:{what}", hex::encode(cause.key.digest()));
        let Ok(source) = SourceName::new(Channel::Desk, "policy") else { return false };
        let key = EventKey { source, id };
        if matches!(self.mode, super::Mode::Replay) {
            return self.decided(&key, &act, now);
        }
        let event = Event {
            occurred_at: cause.occurred_at,
            traceparent: cause.traceparent.clone(),
            ..crate::act::event(key, act, now)
        };
        self.decisions.push(Arrival::new(event, now));
        true
    }

    pub(super) fn change_client(&mut self, id: ClientId, change: impl FnOnce(&mut Client)) {
        let Some(row) = self.known.clients.get_mut(&id) else { return };
        change(row);
        row.rev += 1;
        let rev = row.rev;
        self.clients.note(id);
        self.tell(FeedKind::Client, id.uuid(), rev);
    }

    pub(super) fn change_conversation(
        &mut self,
        id: ConversationId,
        now: Timestamp,
        change: impl FnOnce(&mut Conversation),
    ) {
        let id = self.meant(id);
        let Some(row) = self.known.conversations.get_mut(&id) else { return };
        change(row);
        let (open, key) = (row.is_open(), row.client.map(|client| (client, row.thread.clone())));
        self.touch(id, now);
        if let Some(key) = key {
            if open {
                self.wait(key.0, key.1, id, now);
            } else if self.open.get(&key) == Some(&id) {
                self.open.remove(&key);
            }
        }
    }

    /// Puts what we did on the client's timeline.
    #[expect(clippy::too_many_arguments, reason = "what an entry is made of")]
    pub(super) fn show_act(
        &mut self,
        event: &Event,
        channel: Channel,
        client: Option<ClientId>,
        conversation: Option<ConversationId>,
        by: &str,
        summary: String,
        content: String,
        now: Timestamp,
    ) {
        let id = EntryId::derived(&event.key, event.received_at);
        let kind = match &event.content {
            contact::Content::Act(act) if matches!(act.deed, Deed::Note { .. }) => EntryKind::Note,
            _ => EntryKind::Change,
        };
        let entry = Entry {
            id,
            kind,
            channel,
            direction: Direction::Outbound,
            source: event.key.source.clone(),
            trust: Trust::Verified,
            rev: 1,
            occurred_at: event.occurred_at,
            recorded_at: now,
            client,
            contact: None,
            conversation,
            agent: Some(by.to_owned()),
            summary,
            content,
        };
        self.entries.put(id, entry);
        self.tell(FeedKind::Entry, id.uuid(), 1);
    }
}
