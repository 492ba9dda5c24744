//! An act of ours, done: read, judged, decided, written, in the one transaction that may.

use contact::{
    Act, Channel, ClientId, ContactKey, Content, ConversationId, Deed, Direction, EntryId, Event, EventKey,
    MergeId, ReservationId, Trust,
};
use jiff::Timestamp;

use crate::attach::{Mode, attach, route, wanted};
use crate::model::{Arrival, Conversation, ReservationState};
use crate::policy::Policy;
use crate::port::{Known, Store, StoreError, Tx};
use crate::unmerge;

/// What an act became.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acted {
    /// The entry that shows it, where one does: an answer, a note, a merge.
    pub entry: EntryId,
    /// Of a merge.
    pub merge: MergeId,
    /// It was done before, under the same key.
    pub repeated: bool,
    pub feed_position: i64,
}

/// Why an act was not done. The sentences are for whoever asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// What it is about is not there.
    Missing(String),
    /// It contradicts how things stand.
    Conflict { sentence: String, owner: Option<String> },
    /// The client does not want it.
    Denied(String),
    /// Whoever asked may not.
    Forbidden(String),
    /// It was offered, and is not any more.
    TooLate(String),
    /// Nothing leads there in writing.
    NoWay(String),
}

/// An act that was not done.
#[derive(Debug, thiserror::Error)]
pub enum ActError {
    #[error("{}", .0.sentence())]
    Refused(Refusal),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Refusal {
    pub fn sentence(&self) -> &str {
        match self {
            Refusal::Missing(sentence)
            | Refusal::Denied(sentence)
            | Refusal::Forbidden(sentence)
            | Refusal::TooLate(sentence)
            | Refusal::NoWay(sentence)
            | Refusal::Conflict { sentence, .. } => sentence,
        }
    }
}

/// What the event of a deed is about (CloudEvents `subject`): the thing of ours it changes.
pub fn subject(deed: &Deed) -> ContactKey {
    ContactKey(match deed {
        Deed::Merge { survivor: client, .. } | Deed::Note { client, .. } | Deed::Change { client, .. } => {
            format!("desk/{client}")
        }
        Deed::KeepApart { clients: [client, _], .. } => format!("desk/{client}"),
        Deed::Unmerge { merge, .. } => format!("desk/{merge}"),
        Deed::Move { contact, .. } => format!("desk/{contact}"),
        Deed::Reply { conversation, .. }
        | Deed::Claim { conversation }
        | Deed::Assign { conversation, .. }
        | Deed::Resolve { conversation }
        | Deed::Reopen { conversation }
        | Deed::Snooze { conversation, .. }
        | Deed::Wake { conversation }
        | Deed::OweCall { conversation, .. }
        | Deed::CallDone { conversation }
        | Deed::Route { conversation, .. }
        | Deed::Reckon { conversation, .. }
        | Deed::Notify { conversation, .. }
        | Deed::Offer { conversation, .. }
        | Deed::EndOffer { conversation, .. }
        | Deed::Accept { conversation, .. }
        | Deed::Decline { conversation, .. }
        | Deed::Return { conversation, .. } => format!("desk/{conversation}"),
        Deed::Engage { agent, .. } | Deed::Appear { agent, .. } | Deed::Connect { agent, .. } => {
            format!("desk/agent/{agent}")
        }
        Deed::Introduce(introduction) => format!("desk/{}", introduction.client),
        Deed::ReplyByMail { reply, .. } | Deed::LetBe { reply, .. } => format!("desk/{reply}"),
    })
}

/// The event of an act, done at this moment.
pub fn event(key: EventKey, act: Act, at: Timestamp) -> Event {
    Event {
        key,
        contact: subject(&act.deed),
        occurred_at: at,
        received_at: at,
        traceparent: None,
        direction: Direction::Outbound,
        trust: Trust::Verified,
        from: None,
        to: Vec::new(),
        content: Content::Act(Box::new(act)),
        raw: None,
    }
}

/// Does what an event of type act says, or says why not. When it returns `Ok` it is committed; doing it
/// twice under one key is doing it once.
pub async fn act(store: &dyn Store, policy: &Policy, arrival: Arrival) -> Result<Acted, ActError> {
    let mut tx = store.begin().await?;
    let acted = act_in(tx.as_mut(), policy, arrival).await;
    // What is refused has written nothing.
    if !matches!(acted, Err(ActError::Store(_))) {
        tx.commit().await?;
    }
    acted
}

/// The same in a transaction that somebody else commits.
pub async fn act_in(tx: &mut dyn Tx, policy: &Policy, arrival: Arrival) -> Result<Acted, ActError> {
    let Content::Act(act) = &arrival.event.content else {
        let cause = "it is no act".into();
        return Err(StoreError::Refused { doing: "do what was asked", cause }.into());
    };
    let (act, event) = (act.as_ref().clone(), arrival.event.clone());
    let acted = |repeated, feed_position| Acted {
        entry: EntryId::derived(&event.key, event.received_at),
        merge: MergeId::derived(&event.key, event.received_at),
        repeated,
        feed_position,
    };
    let known = tx.read(&wanted(std::slice::from_ref(&arrival))).await?;
    let head = known.feed_position;
    if known.events.contains(&event.key.digest()) {
        return Ok(acted(true, head));
    }
    judge(&known, &act, arrival.recorded_at).map_err(ActError::Refused)?;
    let changes = if unmerge::takes_again(&act.deed) {
        unmerge::take_again(tx, &known, arrival, known.log_position + 1, Mode::Live(policy)).await?
    } else {
        let changes = attach(known, vec![arrival], Mode::Live(policy));
        tx.write(&changes).await?;
        changes
    };
    let position = changes.feed.last().map_or(head, |item| item.position);
    Ok(acted(false, position))
}

/// The conversation of this id, or the one it goes on in.
pub(crate) fn current(known: &Known, id: ConversationId) -> Option<&Conversation> {
    let mut row = known.conversations.get(&id)?;
    while let Some(next) = row.continued_in.and_then(|id| known.conversations.get(&id)) {
        row = next;
    }
    Some(row)
}

/// Whether it may be done, as things stand.
pub fn judge(known: &Known, act: &Act, now: Timestamp) -> Result<(), Refusal> {
    let client = |id: &ClientId| {
        known.clients.get(id).ok_or_else(|| Refusal::Missing(format!("there is no client {id}")))
    };
    let conversation = |id: &ConversationId| {
        current(known, *id).ok_or_else(|| Refusal::Missing(format!("there is no conversation {id}")))
    };
    let conflict = |sentence: String| Err(Refusal::Conflict { sentence, owner: None });
    match &act.deed {
        Deed::Merge { survivor, absorbed, .. } => {
            let today = |id: &ClientId| client(id).map(|row| row.merged_into.unwrap_or(row.id));
            if today(survivor)? == today(absorbed)? {
                return conflict("they are one client already".to_owned());
            }
            Ok(())
        }
        Deed::KeepApart { clients: [one, other], .. } => {
            let today = |id: &ClientId| client(id).map(|row| row.merged_into.unwrap_or(row.id));
            if today(one)? == today(other)? {
                return conflict("they are one client; undo the merge first".to_owned());
            }
            Ok(())
        }
        Deed::Unmerge { merge, .. } => match known.merges.get(merge) {
            None => Err(Refusal::Missing(format!("there is no merge {merge}"))),
            Some(row) if row.undone_at.is_some() => conflict("the merge is undone already".to_owned()),
            Some(_) => Ok(()),
        },
        Deed::Move { contact, client: to, .. } => {
            let row = known.contacts.values().find(|row| row.id == *contact);
            let row = row.ok_or_else(|| Refusal::Missing(format!("there is no contact {contact}")))?;
            let to = to.as_ref().map(client).transpose()?;
            if to.is_some_and(|to| row.client == Some(to.merged_into.unwrap_or(to.id))) {
                return conflict("the contact is that client's already".to_owned());
            }
            Ok(())
        }
        Deed::Note { client: id, conversation: about, .. } => {
            let whose = client(id).map(|row| row.merged_into.unwrap_or(row.id))?;
            match about.as_ref().map(conversation).transpose()? {
                Some(row) if row.client != Some(whose) => {
                    conflict(format!("{} is a conversation of somebody else", row.id))
                }
                _ => Ok(()),
            }
        }
        Deed::Change { client: id, .. } => client(id).map(|_| ()),
        Deed::Reply { conversation: id, .. } => may_answer(known, conversation(id)?),
        Deed::Claim { conversation: id } => match &conversation(id)?.assignee {
            Some(owner) if owner != act.by.name() => {
                let sentence = format!("{owner} has this conversation already");
                Err(Refusal::Conflict { sentence, owner: Some(owner.clone()) })
            }
            _ => Ok(()),
        },
        Deed::Assign { conversation: id, from, .. } => match (from, &conversation(id)?.assignee) {
            (Some(from), owner) if owner.as_ref() != Some(from) => {
                let sentence = "an agent gives away only what is theirs; this needs the role supervisor";
                Err(Refusal::Forbidden(sentence.to_owned()))
            }
            _ => Ok(()),
        },
        Deed::Reopen { conversation: id }
        | Deed::Wake { conversation: id }
        | Deed::Route { conversation: id, .. }
        | Deed::Reckon { conversation: id, .. }
        | Deed::Notify { conversation: id, .. }
        | Deed::Offer { conversation: id, .. }
        | Deed::EndOffer { conversation: id, .. }
        | Deed::Return { conversation: id, .. } => conversation(id).map(|_| ()),
        // What they missed is owed whatever they said: they called us. This is a call they never asked for.
        Deed::OweCall { conversation: id, .. } => wanted_by(known, conversation(id)?.client, Channel::Phone),
        Deed::Engage { .. } | Deed::Appear { .. } | Deed::Connect { .. } => Ok(()),
        Deed::CallDone { conversation: id } => {
            let owed = conversation(id)?.callback.as_ref().is_some_and(|callback| callback.done_at.is_none());
            if owed { Ok(()) } else { conflict("no call is owed here".to_owned()) }
        }
        Deed::Snooze { conversation: id, until } => match conversation(id)? {
            row if !row.is_open() => conflict("the conversation is resolved already".to_owned()),
            _ if *until <= now => conflict(format!("{until} has passed already")),
            _ => Ok(()),
        },
        Deed::Accept { reservation, conversation: id } => {
            may_take(known, act, reservation, conversation(id)?, now)
        }
        Deed::Decline { reservation, .. } => offered(known, act, reservation, now),
        Deed::Introduce(said) => match known.holders.get(&said.known_as) {
            Some((holder, _)) if *holder != said.client => {
                conflict(format!("{} is known here by now; say it once more", said.known_as))
            }
            _ => Ok(()),
        },
        Deed::Resolve { conversation: id } => match conversation(id)? {
            row if row.is_open() => Ok(()),
            _ => conflict("the conversation is resolved already".to_owned()),
        },
        Deed::ReplyByMail { reply, .. } | Deed::LetBe { reply, .. } => {
            let Some(row) = known.replies.get(reply).filter(|row| row.due_at.is_some()) else {
                return conflict("nothing is to be done about that answer any more".to_owned());
            };
            match &act.deed {
                Deed::ReplyByMail { source, .. } => wanted_by(known, row.client, source.channel()),
                _ => Ok(()),
            }
        }
    }
}

/// Whether this agent is offered it, and in time.
fn offered(known: &Known, act: &Act, id: &ReservationId, now: Timestamp) -> Result<(), Refusal> {
    let row = known.reservations.get(id).filter(|row| row.agent == act.by.name());
    let row = row.ok_or_else(|| Refusal::Missing(format!("you are offered nothing as {id}")))?;
    if row.state == ReservationState::Pending && now < row.until {
        return Ok(());
    }
    Err(Refusal::TooLate("this offer is over".to_owned()))
}

fn may_take(
    known: &Known,
    act: &Act,
    id: &ReservationId,
    conversation: &Conversation,
    now: Timestamp,
) -> Result<(), Refusal> {
    match &conversation.assignee {
        // Who has it may say so twice.
        Some(owner) if owner == act.by.name() => Ok(()),
        Some(owner) => {
            let sentence = format!("{owner} has this conversation already");
            Err(Refusal::Conflict { sentence, owner: Some(owner.clone()) })
        }
        None => offered(known, act, id, now),
    }
}

fn may_answer(known: &Known, conversation: &Conversation) -> Result<(), Refusal> {
    let nowhere = || {
        let sentence =
            "nobody can be answered in writing here: call the client, or write to them where they wrote";
        Refusal::NoWay(sentence.to_owned())
    };
    let latest = conversation.last_contact.ok_or_else(nowhere)?;
    let contact = known.contacts.values().find(|row| row.id == latest).ok_or_else(nowhere)?;
    let route = route(contact).ok_or_else(nowhere)?;
    // Outside its chat an answer would be no line of it: accepted, and lost.
    if route.visitor.as_ref().is_some_and(|visitor| !known.chats.contains_key(visitor)) {
        return Err(nowhere());
    }
    wanted_by(known, conversation.client, route.source.channel())
}

/// Whether the client lets us reach them there.
fn wanted_by(known: &Known, client: Option<ClientId>, channel: Channel) -> Result<(), Refusal> {
    let client = client.and_then(|id| known.clients.get(&id));
    if client.is_some_and(|client| !client.allows(channel)) {
        return Err(Refusal::Denied(format!("the client does not want to be reached by {channel}")));
    }
    Ok(())
}
