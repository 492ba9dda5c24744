//! What a decision has to know beforehand.

use std::collections::HashSet;

use contact::{Actor, Content, Deed, Party};

use crate::mail;
use crate::model::Arrival;
use crate::port::Wanted;

/// What must be known to decide about these events.
pub fn wanted(events: &[Arrival]) -> Wanted {
    let (mut seen, mut whole) = (HashSet::new(), HashSet::new());
    let mut wanted = Wanted::default();
    for Arrival { event, .. } in events {
        wanted.events.push(event.key.digest());
        wanted.contacts.push(event.contact.digest());
        let mut named: Vec<&Party> = event.from.iter().chain(event.to.first()).collect();
        match &event.content {
            Content::Email(email) => {
                wanted.messages.extend(mail::own(email).into_iter().chain(mail::answered(email)));
                wanted.replies.extend(mail::answer_reported(email));
            }
            Content::Chat(change) => {
                wanted.chats.extend(event.from.as_ref().and_then(|party| party.value.clone()));
                wanted.proofs |= !change.proved.is_empty();
                named.extend(change.proved.iter().chain(&change.claimed));
            }
            Content::Reply(change) => {
                wanted.replies.push(change.reply);
                wanted.messages.extend(change.message_id.as_deref().map(mail::message_key));
            }
            Content::Act(act) => {
                // Whoever takes a conversation by this has something new.
                if let Actor::Agent(name) = &act.by {
                    wanted.agents.push(name.clone());
                }
                act_wants(&act.deed, &mut wanted);
            }
            Content::Call(_) | Content::Unreadable(_) => {}
        }
        for identifier in named.into_iter().filter_map(Party::identifier) {
            // What else waits of who writes mails decides nothing.
            if !matches!(event.content, Content::Email(_)) && whole.insert(identifier.clone()) {
                wanted.whole.push(identifier.clone());
            }
            if seen.insert(identifier.clone()) {
                wanted.identifiers.push(identifier);
            }
        }
    }
    for list in [&mut wanted.events, &mut wanted.contacts, &mut wanted.messages] {
        list.sort_unstable();
        list.dedup();
    }
    for list in [&mut wanted.chats, &mut wanted.agents] {
        list.sort_unstable();
        list.dedup();
    }
    wanted
}

fn act_wants(deed: &Deed, wanted: &mut Wanted) {
    match deed {
        Deed::Merge { survivor, absorbed, .. } => {
            wanted.clients.extend([*survivor, *absorbed]);
            wanted.proofs = true;
        }
        Deed::KeepApart { clients, .. } => wanted.clients.extend(clients),
        Deed::Unmerge { merge, .. } => wanted.merges.push(*merge),
        Deed::Move { contact, client, .. } => {
            wanted.contact_ids.push(*contact);
            wanted.clients.extend(client);
        }
        Deed::Note { client, conversation, .. } => {
            wanted.clients.push(*client);
            wanted.conversations.extend(conversation);
        }
        Deed::Change { client, .. } => wanted.clients.push(*client),
        Deed::Reply { conversation, .. }
        | Deed::Claim { conversation }
        | Deed::Resolve { conversation }
        | Deed::Reopen { conversation }
        | Deed::Snooze { conversation, .. }
        | Deed::Wake { conversation }
        | Deed::OweCall { conversation, .. }
        | Deed::CallDone { conversation }
        | Deed::Route { conversation, .. }
        | Deed::Reckon { conversation, .. }
        | Deed::Notify { conversation, .. } => wanted.conversations.push(*conversation),
        Deed::Assign { conversation, to, .. } => {
            wanted.conversations.push(*conversation);
            wanted.agents.extend(to.clone());
        }
        Deed::Offer { conversation, agent, .. } | Deed::Return { conversation, agent, .. } => {
            wanted.conversations.push(*conversation);
            wanted.agents.push(agent.clone());
        }
        Deed::EndOffer { reservation, conversation, .. }
        | Deed::Accept { reservation, conversation }
        | Deed::Decline { reservation, conversation, .. } => {
            wanted.conversations.push(*conversation);
            wanted.reservations.push(*reservation);
        }
        Deed::Engage { agent, .. } | Deed::Appear { agent, .. } | Deed::Connect { agent, .. } => {
            wanted.agents.push(agent.clone());
        }
        Deed::Introduce(introduction) => {
            wanted.clients.push(introduction.client);
            wanted.identifiers.push(introduction.known_as.clone());
            wanted.identifiers.extend(introduction.identifiers.iter().cloned());
            wanted.whole.extend(introduction.identifiers.iter().cloned());
            wanted.proofs = true;
        }
        Deed::ReplyByMail { reply, .. } | Deed::LetBe { reply, .. } => wanted.replies.push(*reply),
    }
}
