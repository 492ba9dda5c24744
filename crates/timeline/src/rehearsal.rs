//! What other rules would have done to the conversations of late: a dry run.

use contact::{Content, ConversationId, Decision, Event};
use jiff::Timestamp;
use routing::rules::DryRun;

use crate::model::{Conversation, Logged};
use crate::policy::Policy;
use crate::port::{Store, StoreError, Wanted};

/// Events looked at together.
const PAGE: usize = 512;

/// Asks `policy` about every conversation that began since then, and compares with what was decided. Decides
/// nothing itself, and lets others decide between pages. What is known of the clients is what is known today.
pub async fn rehearse(store: &dyn Store, policy: &Policy, since: Timestamp) -> Result<DryRun, StoreError> {
    let mut run = DryRun::default();
    let mut position = first_since(store, since).await?;
    loop {
        let mut tx = store.begin().await?;
        let page = tx.log(position, PAGE).await?;
        let Some(last) = page.last() else {
            tx.commit().await?;
            return Ok(run);
        };
        position = last.position;
        let began: Vec<(Event, ConversationId, Timestamp)> = page.iter().filter_map(founding).collect();
        let conversations = began.iter().map(|(_, id, _)| *id).collect();
        let known = tx.read(&Wanted { conversations, ..Wanted::default() }).await?;
        tx.commit().await?;
        for (event, id, at) in began {
            let Some(row) = known.conversations.get(&id) else { continue };
            let client = row.client.and_then(|client| known.clients.get(&client));
            let after = policy.route(&event, client, at);
            run.count(&after, &decided(row, policy));
        }
    }
}

/// The event, the conversation it would have begun, and when it was recorded; `None` of what begins none.
fn founding(logged: &Logged) -> Option<(Event, ConversationId, Timestamp)> {
    let event = Event::from_json(logged.payload.as_bytes()).ok()?;
    let contact = matches!(event.content, Content::Call(_) | Content::Email(_) | Content::Chat(_));
    let id = ConversationId::derived(&event.key, event.received_at);
    contact.then_some((event, id, logged.recorded_at))
}

fn decided(row: &Conversation, policy: &Policy) -> Decision {
    row.routing.clone().unwrap_or_else(|| Decision::usual(policy.rules.version()))
}

/// The position before the first event recorded since then. The log is in the order of recording.
async fn first_since(store: &dyn Store, since: Timestamp) -> Result<i64, StoreError> {
    let mut tx = store.begin().await?;
    let (mut low, mut high) = (0, tx.read(&Wanted::default()).await?.log_position);
    while low < high {
        let middle = low + (high - low) / 2;
        match tx.log(middle, 1).await?.first() {
            Some(logged) if logged.recorded_at < since => low = logged.position,
            _ => high = middle,
        }
    }
    tx.commit().await?;
    Ok(low)
}
