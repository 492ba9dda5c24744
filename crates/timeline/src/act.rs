//! An act of ours, done: read, judged, decided, written, in the one transaction that may.

use contact::{Act, ClientId, ContactKey, Content, ConversationId, Deed, EntryId, MergeId};

use crate::attach::{Mode, attach, route, wanted};
use crate::model::{Arrival, Conversation};
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
            Refusal::Missing(sentence) | Refusal::Denied(sentence) | Refusal::Conflict { sentence, .. } => {
                sentence
            }
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
        | Deed::Reopen { conversation } => format!("desk/{conversation}"),
        Deed::ReplyByMail { reply, .. } | Deed::LetBe { reply, .. } => format!("desk/{reply}"),
    })
}

/// Does what an event of type act says, or says why not. When it returns `Ok` it is committed; doing it
/// twice under one key is doing it once.
pub async fn act(store: &dyn Store, arrival: Arrival) -> Result<Acted, ActError> {
    let mut tx = store.begin().await?;
    let acted = act_in(tx.as_mut(), arrival).await?;
    if !acted.repeated {
        tx.commit().await?;
    }
    Ok(acted)
}

/// The same in a transaction that somebody else commits.
pub async fn act_in(tx: &mut dyn Tx, arrival: Arrival) -> Result<Acted, ActError> {
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
    judge(&known, &act).map_err(ActError::Refused)?;
    let changes = if unmerge::takes_again(&act.deed) {
        unmerge::take_again(tx, &known, arrival, known.log_position + 1, Mode::Live).await?
    } else {
        let changes = attach(known, vec![arrival], Mode::Live);
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
pub fn judge(known: &Known, act: &Act) -> Result<(), Refusal> {
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
            client(id)?;
            about.as_ref().map_or(Ok(()), |id| conversation(id).map(|_| ()))
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
        Deed::Assign { conversation: id, .. } | Deed::Reopen { conversation: id } => {
            conversation(id).map(|_| ())
        }
        Deed::Resolve { conversation: id } => match conversation(id)? {
            row if row.is_open() => Ok(()),
            _ => conflict("the conversation is resolved already".to_owned()),
        },
        Deed::ReplyByMail { reply, .. } | Deed::LetBe { reply, .. } => {
            if known.replies.get(reply).is_some_and(|row| row.due_at.is_some()) {
                return Ok(());
            }
            conflict("nothing is to be done about that answer any more".to_owned())
        }
    }
}

fn may_answer(known: &Known, conversation: &Conversation) -> Result<(), Refusal> {
    let nowhere = || Refusal::Conflict {
        sentence:
            "nobody can be answered in writing here: call the client, or write to them where they wrote"
                .to_owned(),
        owner: None,
    };
    let latest = conversation.last_contact.ok_or_else(nowhere)?;
    let contact = known.contacts.values().find(|row| row.id == latest).ok_or_else(nowhere)?;
    let route = route(contact).ok_or_else(nowhere)?;
    // Outside its chat an answer would be no line of it: accepted, and lost.
    if route.visitor.as_ref().is_some_and(|visitor| !known.chats.contains_key(visitor)) {
        return Err(nowhere());
    }
    let channel = route.source.channel();
    let client = conversation.client.and_then(|id| known.clients.get(&id));
    if client.is_some_and(|client| !client.allows(channel)) {
        return Err(Refusal::Denied(format!("the client does not want to be reached by {channel}")));
    }
    Ok(())
}
