//! One interaction, and the entries by which the timeline shows it.

use contact::{
    Channel, ClientId, ContactId, ContactKey, ConversationId, Direction, EntryId, SourceName, Trust,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::call::Call;
use crate::chat::Session;
use crate::mail::Mail;

/// One interaction, folded from one or more events.
#[derive(Clone, Debug, PartialEq)]
pub struct Contact {
    pub id: ContactId,
    pub key: ContactKey,
    pub source: SourceName,
    pub direction: Direction,
    pub trust: Trust,
    pub client: Option<ClientId>,
    pub conversation: Option<ConversationId>,
    /// The entry that shows it: a call and a mail have exactly one.
    pub entry: EntryId,
    /// How many facts changed it; also the `rev` of its entry.
    pub rev: i64,
    pub state: ContactState,
    pub occurred_at: Timestamp,
    pub recorded_at: Timestamp,
}

/// What the facts about a contact add up to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::large_enum_variant, reason = "the most contacts are calls; a box would cost each of them")]
pub enum ContactState {
    Call(Call),
    Email(Box<Mail>),
    Chat(Session),
}

/// One line of a client's history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub id: EntryId,
    pub kind: EntryKind,
    pub channel: Channel,
    pub direction: Direction,
    pub source: SourceName,
    pub trust: Trust,
    /// Rises with every change of the entry, beginning at 1.
    pub rev: i64,
    pub occurred_at: Timestamp,
    /// When it first stood on the timeline.
    pub recorded_at: Timestamp,
    pub client: Option<ClientId>,
    /// `None` of what is no contact: an answer, a note.
    pub contact: Option<ContactId>,
    pub conversation: Option<ConversationId>,
    pub agent: Option<String>,
    /// One line for a person.
    pub summary: String,
    /// JSON, by channel; see the HTTP contract.
    pub content: String,
}

/// In letters: of the text of an entry in brief.
const BRIEF: usize = 1_000;
/// What only whoever opens an entry reads.
const IN_FULL: [&str; 3] = ["html", "quoted", "signature"];

impl Entry {
    /// As it stands beside its conversation, in lists and at every change: see [`in_brief`].
    pub fn in_brief(self) -> Entry {
        Entry { content: in_brief(self.content), ..self }
    }
}

/// The content of an entry without a mail's `html`, `quoted` and `signature`, and of its `text` the first thousand
/// letters. A mail may be hundreds of kilobytes, and its conversation is shown whenever anything of it changes.
pub fn in_brief(content: String) -> String {
    // Most are calls and short lines.
    if content.len() <= BRIEF && !IN_FULL.iter().any(|name| content.contains(name)) {
        return content;
    }
    let Ok(mut fields) = serde_json::from_str::<Map<String, Value>>(&content) else { return content };
    let mut shortened = false;
    for name in IN_FULL {
        shortened |= fields.remove(name).is_some();
    }
    if let Some(Value::String(text)) = fields.get_mut("text")
        && let Some((end, _)) = text.char_indices().nth(BRIEF)
    {
        text.truncate(end);
        shortened = true;
    }
    if shortened { Value::Object(fields).to_string() } else { content }
}

words!(EntryKind, "kind of entry" { Contact = "contact", Reply = "reply", Note = "note", Change = "change" });

/// By which mail an answer finds its conversation. Only the client of both finds it: an id is the free text
/// of a stranger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message {
    /// [`crate::mail::message_key`]
    pub key: [u8; 16],
    pub client: ClientId,
    /// `None` of a mail of ours.
    pub contact: Option<ContactId>,
    pub conversation: ConversationId,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_in_brief_has_the_beginning_of_its_text_and_nothing_that_is_read_when_it_is_opened() {
        let long = "ї".repeat(3_000);
        let mail =
            format!(r#"{{"subject":"Hi","html":"<p>","text":"{long}","quoted":"> a","signature":"O."}}"#);
        let brief = format!(r#"{{"subject":"Hi","text":"{}"}}"#, "ї".repeat(1_000));
        assert_eq!(in_brief(mail), brief);
        for kept in [r#"{"state":"ended","from":null}"#, r#"{ "text": "short" }"#, "no JSON", "[1]", ""] {
            assert_eq!(in_brief(kept.to_owned()), kept);
        }
    }
}
