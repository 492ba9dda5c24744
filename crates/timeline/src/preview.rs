//! What a merge would join, and what speaks against it: for the person who is about to decide.

use std::collections::HashSet;

use contact::{ClientId, ContactId};

use crate::act::{ActError, Refusal};
use crate::attach::ordered;
use crate::port::{Card, FindConversations, Page, Store, StoreError, Wanted};

/// The most that is counted of one client, in pages.
const MOST_PAGES: usize = 10;
const PAGE: usize = 200;

/// Two clients side by side. Nothing is changed by looking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preview {
    pub survivor: Side,
    pub absorbed: Side,
    /// What speaks against it, in sentences. A person may merge them all the same.
    pub conflicts: Vec<String>,
}

/// One of the two, as they are today.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Side {
    /// Its identifiers are all they hold.
    pub card: Card,
    pub contacts: usize,
    pub conversations: usize,
    /// There are more than were counted, which is some thousands.
    pub more: bool,
}

/// Shows what a merge of these two would join. Whoever was merged stands for the one they became.
pub async fn preview(store: &dyn Store, survivor: ClientId, absorbed: ClientId) -> Result<Preview, ActError> {
    let known = {
        let mut tx = store.begin().await?;
        let wanted = Wanted { clients: vec![survivor, absorbed], proofs: true, ..Wanted::default() };
        let known = tx.read(&wanted).await?;
        tx.commit().await?;
        known
    };
    let today = |id: ClientId| match known.clients.get(&id) {
        Some(row) => Ok(row.merged_into.unwrap_or(id)),
        None => Err(ActError::Refused(Refusal::Missing(format!("there is no client {id}")))),
    };
    let (survivor, absorbed) = (today(survivor)?, today(absorbed)?);
    if survivor == absorbed {
        let sentence = "they are one client already".to_owned();
        return Err(ActError::Refused(Refusal::Conflict { sentence, owner: None }));
    }
    let (kept, gone) = (side(store, survivor).await?, side(store, absorbed).await?);
    let mut conflicts = Vec::new();
    if known.aparts.contains(&ordered(survivor, absorbed)) {
        conflicts.push(identity::Conflict::KeptApart.sentence());
    }
    let held =
        |side: &Side| side.card.identifiers.iter().map(|row| row.identifier.clone()).collect::<Vec<_>>();
    if let Err(conflict) = identity::may_merge(&held(&kept), &held(&gone)) {
        conflicts.push(conflict.sentence());
    }
    if let (Some(one), Some(other)) = (&kept.card.client.name, &gone.card.client.name)
        && one.to_lowercase() != other.to_lowercase()
    {
        conflicts.push(format!("the one is called {one}, the other {other}"));
    }
    Ok(Preview { survivor: kept, absorbed: gone, conflicts })
}

async fn side(store: &dyn Store, id: ClientId) -> Result<Side, ActError> {
    let missing = || ActError::Refused(Refusal::Missing(format!("there is no client {id}")));
    let card = store.clients(&[id]).await?.into_iter().next().ok_or_else(missing)?;
    let (contacts, more_contacts) = contacts(store, id).await?;
    let (conversations, more_conversations) = conversations(store, id).await?;
    Ok(Side { card, contacts, conversations, more: more_contacts || more_conversations })
}

async fn contacts(store: &dyn Store, client: ClientId) -> Result<(usize, bool), StoreError> {
    let (mut seen, mut after) = (HashSet::<ContactId>::new(), None);
    for _ in 0..MOST_PAGES {
        let page = store.timeline(client, None, Page { after, limit: PAGE }).await?;
        seen.extend(page.iter().filter_map(|entry| entry.contact));
        after = page.last().map(|entry| (entry.occurred_at, entry.id));
        if page.len() < PAGE {
            return Ok((seen.len(), false));
        }
    }
    Ok((seen.len(), true))
}

async fn conversations(store: &dyn Store, client: ClientId) -> Result<(usize, bool), StoreError> {
    let find = FindConversations { client: Some(client), ..FindConversations::default() };
    let (mut count, mut after) = (0, None);
    for _ in 0..MOST_PAGES {
        let page = store.conversations(&find, Page { after, limit: PAGE }).await?;
        count += page.len();
        after = page.last().map(|view| view.conversation.id);
        if page.len() < PAGE {
            return Ok((count, false));
        }
    }
    Ok((count, true))
}
