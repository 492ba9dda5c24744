//! What no text may hold.

use timeline::{Changes, StoreError};

use crate::error::refused;
use crate::values::has_nul;

/// PostgreSQL keeps NUL in no text; then SQLite must not either, and neither learns of it by a half
/// written batch. Letters are kept whatever they hold, see [`super::shelves::bury`]; JSON has none.
pub(super) fn refuse(doing: &'static str, changes: &Changes) -> Result<(), StoreError> {
    let log =
        changes.log.iter().any(|(_, arrival)| has_nul(&arrival.payload) || has_nul(&arrival.event.key.id));
    let clients = changes
        .clients
        .iter()
        .any(|client| any_nul([&client.name, &client.segment, &client.owner, &client.known_by]));
    let holders = changes.holders.iter().any(|holder| has_nul(&holder.identifier.value));
    let contacts = changes.contacts.iter().any(|contact| has_nul(&contact.key.0));
    let entries = changes.entries.iter().any(|entry| {
        has_nul(&entry.summary) || has_nul(&entry.content) || entry.agent.as_deref().is_some_and(has_nul)
    });
    let conversations = changes.conversations.iter().any(|conversation| {
        has_nul(&conversation.thread) || has_nul(&conversation.queue) || any_nul([&conversation.assignee])
    });
    let claims =
        changes.claims.iter().any(|claim| has_nul(&claim.identifier.value) || has_nul(&claim.reason));
    let ties = changes.merges.iter().any(|merge| has_nul(&merge.by) || has_nul(&merge.reason))
        || changes.aparts.iter().any(|apart| has_nul(&apart.by) || has_nul(&apart.reason));
    let chats = changes.chats.iter().any(|chat| has_nul(&chat.visitor) || has_nul(&chat.session));
    let lines = changes.chat_lines.iter().any(|line| {
        has_nul(&line.visitor) || has_nul(&line.message_id) || has_nul(&line.text) || any_nul([&line.agent])
    });
    let replies = changes
        .replies
        .iter()
        .any(|reply| has_nul(&reply.order.to) || any_nul([&reply.detail, &reply.message_id]));
    let work = changes.agents.iter().any(|agent| has_nul(&agent.name))
        || changes.reservations.iter().any(|reservation| has_nul(&reservation.agent));
    let beside = claims || ties || chats || lines || replies || work;
    if log || clients || holders || contacts || entries || conversations || beside {
        return Err(refused(doing, "a text holds the character NUL, which cannot be kept"));
    }
    Ok(())
}

fn any_nul<const N: usize>(texts: [&Option<String>; N]) -> bool {
    texts.into_iter().flatten().any(|text| has_nul(text))
}
