//! The shapes callers see. Field names and nulls are the contract: nothing here is renamed lightly.

use std::collections::BTreeMap;

use contact::{
    Channel, ClientId, ContactId, ConversationId, Direction, EntryId, Identifier, IdentifierKind, Level,
    Permission, SourceName, Trust,
};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::value::RawValue;
use timeline::{Card, Entry, EntryKind, Preferences};
use utoipa::ToSchema;

use crate::wishes::{HoursJson, PreferencesJson};
use crate::words;

mod conversation;

pub(crate) use conversation::{ConversationDetailJson, ConversationJson};

/// A client with how they are known.
#[derive(Serialize, ToSchema)]
#[schema(as = Client)]
pub(crate) struct ClientJson {
    #[schema(value_type = String, example = "cli_019aa5bd3f9770008f6a2d0c7c2b9e11")]
    id: ClientId,
    name: Option<String>,
    /// Null until somebody sorts clients into segments.
    segment: Option<String>,
    identifiers: Vec<IdentifierJson>,
    #[schema(schema_with = words::permissions)]
    permissions: BTreeMap<Channel, Permission>,
    /// What they are worth to the company, as another system counts it; null until one says.
    value: Option<i64>,
    /// The agent whose client they are; null until another system says.
    #[schema(example = "Mia")]
    owner: Option<String>,
    /// BCP 47.
    #[schema(example = "uk")]
    language: Option<String>,
    /// By which channel they like to be reached.
    #[schema(value_type = Option<String>, example = "phone")]
    preferred_channel: Option<Channel>,
    /// When they want to be reached.
    hours: Option<HoursJson>,
    /// All of that with who wrote it down and when.
    preferences: PreferencesJson,
    last_contact_at: Timestamp,
    /// They turned out to be this client, who has everything of theirs. Only `/v1/events` shows such a one;
    /// elsewhere the client they became stands in their place.
    #[schema(value_type = Option<String>)]
    merged_into: Option<ClientId>,
}

/// An address of a client, and how sure we are that it is theirs.
#[derive(Serialize, ToSchema)]
#[schema(as = Identifier)]
pub(crate) struct IdentifierJson {
    #[schema(schema_with = words::identifier_kind)]
    kind: IdentifierKind,
    /// E.164 for a phone.
    #[schema(example = "+380441234567")]
    value: String,
    #[schema(schema_with = words::level)]
    level: Level,
}

/// A client in one breath.
#[derive(Serialize, ToSchema)]
#[schema(as = ClientSummary)]
pub(crate) struct ClientSummaryJson {
    #[schema(value_type = String, example = "cli_019aa5bd3f9770008f6a2d0c7c2b9e11")]
    id: ClientId,
    name: Option<String>,
    /// Null until somebody sorts clients into segments.
    segment: Option<String>,
    /// A number of theirs, else an e-mail address; null when we know neither, or only what somebody merely said.
    #[schema(example = "+380441234567")]
    address: Option<String>,
}

/// One line of a client's history.
#[derive(Serialize, ToSchema)]
#[schema(as = Entry)]
pub(crate) struct EntryJson {
    #[schema(value_type = String, example = "ent_019aa5bd3f977000a1b2c3d4e5f60718")]
    id: EntryId,
    #[schema(schema_with = words::entry_kind)]
    kind: EntryKind,
    #[schema(schema_with = words::channel)]
    channel: Channel,
    #[schema(schema_with = words::direction)]
    direction: Direction,
    #[schema(value_type = String, example = "phone/main-line")]
    source: SourceName,
    #[schema(schema_with = words::trust)]
    trust: Trust,
    /// Rises with every change of the entry; of two copies the higher one is newer.
    rev: i64,
    /// When it happened, by the channel's clock. Orders the timeline.
    occurred_at: Timestamp,
    /// When it first stood on the timeline.
    recorded_at: Timestamp,
    /// Null when the channel told no address that could be anybody's.
    #[schema(value_type = Option<String>)]
    client: Option<ClientId>,
    /// Null where `kind` is not `contact`: an answer, a note, a change.
    #[schema(value_type = Option<String>, example = "con_019aa5bd3f977000b1b2c3d4e5f60718")]
    contact: Option<ContactId>,
    #[schema(value_type = Option<String>)]
    conversation: Option<ConversationId>,
    /// Who of us wrote or did it; null where nobody of us did.
    agent: Option<String>,
    /// One line for a person.
    #[schema(example = "Missed call, rang 21 s")]
    summary: String,
    /// By kind and channel; more fields may come.
    ///
    /// - A call: `call_id`, `state`, `outcome`, `rang_s`, `talked_s`, `from`, `to`, and where there are any
    ///   `extensions`, `recordings`, `transcripts`.
    /// - A mail: `message_id`, `in_reply_to`, `subject`, `text` (what was written this time), `html`
    ///   (sanitised), `quoted`, `signature`, `forwarded_from`, `from`, `to`, `cc`, `reply_to`, `attachments`
    ///   (each `name`, `media_type`, `size`, `sha256`; the bytes are under
    ///   `/v1/contacts/{id}/attachments/{sha256}`), `destinations` (the mailboxes of ours it came to),
    ///   `sent_at`, `automatic`, `looks_automatic`, and where there are any `report`, `authentication`, `cut`.
    /// - A chat line of the visitor: `message_id`, `text`, `seq` (its number within the chat), `page`.
    /// - An answer (`kind` is `reply`, `rev` rises with its `state`): `text`, `to`, `state` (`queued`,
    ///   `deferred`, `uncertain`, `sent`, `failed`), `attempts`, and where there are any `subject`, `seq`,
    ///   `next_try_at`, `detail` (what the other side said last), `message_id`, `instead_of` (the answer in
    ///   a chat that this mail brings because it was not read there).
    /// - A note: `text`.
    /// - A change: `reason`, and of two clients made one `merge`, `absorbed`; taken apart again `merge`,
    ///   `apart`; of a contact given to another client `contact`.
    #[schema(value_type = Object)]
    content: Box<RawValue>,
}

/// One interaction: its entry's fields under its own id.
#[derive(Serialize, ToSchema)]
#[schema(as = Contact)]
pub(crate) struct ContactJson {
    #[schema(value_type = String, example = "con_019aa5bd3f977000b1b2c3d4e5f60718")]
    pub(crate) id: ContactId,
    #[schema(schema_with = words::channel)]
    channel: Channel,
    #[schema(schema_with = words::direction)]
    direction: Direction,
    #[schema(value_type = String, example = "phone/main-line")]
    source: SourceName,
    #[schema(schema_with = words::trust)]
    trust: Trust,
    /// Rises with every fact that changed it.
    rev: i64,
    occurred_at: Timestamp,
    recorded_at: Timestamp,
    #[schema(value_type = Option<String>)]
    client: Option<ClientId>,
    /// The entry that shows it.
    #[schema(value_type = String, example = "ent_019aa5bd3f977000a1b2c3d4e5f60718")]
    entry: EntryId,
    #[schema(value_type = Option<String>)]
    conversation: Option<ConversationId>,
    agent: Option<String>,
    #[schema(example = "Missed call, rang 21 s")]
    summary: String,
    /// As in its entry.
    #[schema(value_type = Object)]
    content: Box<RawValue>,
}

impl IdentifierJson {
    pub(crate) fn new(identifier: Identifier, level: Level) -> Self {
        Self { kind: identifier.kind, value: identifier.value, level }
    }
}

impl From<Card> for ClientJson {
    fn from(Card { client, identifiers }: Card) -> Self {
        let identifiers = identifiers
            .into_iter()
            .map(|holder| IdentifierJson::new(holder.identifier, holder.level))
            .collect();
        Self {
            id: client.id,
            name: client.name,
            segment: client.segment,
            identifiers,
            permissions: permissions(&client.preferences),
            value: client.value,
            owner: client.owner,
            language: client.preferences.language.clone(),
            preferred_channel: client.preferences.preferred_channel,
            hours: client.preferences.hours.clone().map(HoursJson::from),
            preferences: PreferencesJson::from(client.preferences),
            last_contact_at: client.last_contact_at,
            merged_into: client.merged_into,
        }
    }
}

/// By channel, as it was said.
fn permissions(said: &Preferences) -> BTreeMap<Channel, Permission> {
    said.channels.iter().map(|(channel, wish)| (*channel, wish.permission)).collect()
}

impl From<&Card> for ClientSummaryJson {
    fn from(Card { client, identifiers }: &Card) -> Self {
        let first = |kind| {
            let mut held = identifiers.iter().filter(|holder| holder.level != Level::Claimed);
            held.find(|holder| holder.identifier.kind == kind)
        };
        let address = first(IdentifierKind::Phone).or_else(|| first(IdentifierKind::Email));
        Self {
            id: client.id,
            name: client.name.clone(),
            segment: client.segment.clone(),
            address: address.map(|holder| holder.identifier.value.clone()),
        }
    }
}

impl From<Entry> for EntryJson {
    fn from(entry: Entry) -> Self {
        Self {
            id: entry.id,
            kind: entry.kind,
            channel: entry.channel,
            direction: entry.direction,
            source: entry.source,
            trust: entry.trust,
            rev: entry.rev,
            occurred_at: entry.occurred_at,
            recorded_at: entry.recorded_at,
            client: entry.client,
            contact: entry.contact,
            conversation: entry.conversation,
            agent: entry.agent,
            summary: entry.summary,
            content: one_line(entry.content),
        }
    }
}

impl ContactJson {
    /// What the entry shows of this contact.
    pub(crate) fn new(id: ContactId, entry: Entry) -> Self {
        Self {
            id,
            channel: entry.channel,
            direction: entry.direction,
            source: entry.source,
            trust: entry.trust,
            rev: entry.rev,
            occurred_at: entry.occurred_at,
            recorded_at: entry.recorded_at,
            client: entry.client,
            entry: entry.id,
            conversation: entry.conversation,
            agent: entry.agent,
            summary: entry.summary,
            content: one_line(entry.content),
        }
    }
}

/// JSON text as it is, without the line breaks that would end a message of the event stream. Text that
/// is no JSON, which no writer of ours makes, is shown as a string.
fn one_line(text: String) -> Box<RawValue> {
    let text = if text.contains(['\n', '\r']) {
        serde_json::from_str::<serde_json::Value>(&text).map_or(text, |value| value.to_string())
    } else {
        text
    };
    RawValue::from_string(text.clone())
        .or_else(|_| serde_json::value::to_raw_value(&text))
        .expect("a string is always JSON")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_is_one_line_whatever_was_kept() {
        for (kept, shown) in [
            (r#"{"b":1,"a":2}"#, r#"{"b":1,"a":2}"#),
            ("{\n  \"a\": [1,\r\n 2]\n}", r#"{"a":[1,2]}"#),
            ("not json", r#""not json""#),
            ("not\njson", r#""not\njson""#),
        ] {
            assert_eq!(one_line(kept.to_owned()).get(), shown);
        }
    }
}
