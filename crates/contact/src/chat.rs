//! What one fact says about a chat.
//!
//! A chat is what one visitor of one widget and we write to each other; it has no end. A contact is one
//! *session* of it, which the connector closes after a silence. A line the visitor wrote is one fact; so is
//! that they said who they are, or that they read what we wrote.

use serde::{Deserialize, Serialize};

use crate::event::SourceName;
use crate::identifier::{Identifier, IdentifierKind, Party};

/// One fact of a chat, said by the visitor's side.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChatChange {
    pub fact: ChatFact,
    /// What a token that we verified says about the visitor: proved. Never blocked values.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub proved: Vec<Party>,
    /// What the visitor merely typed about themselves, or a token says and we were told to doubt (a shared
    /// number): claimed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub claimed: Vec<Party>,
    /// The page the visitor was on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page: Option<Page>,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ChatFact {
    /// The visitor wrote this. `message_id` is theirs: a stranger may choose any, once more with another
    /// text too.
    Line { message_id: String, text: String },
    /// The visitor said who they are; see [`ChatChange::proved`] and [`ChatChange::claimed`].
    Identified,
    /// The visitor has seen every line up to this number.
    Read { seq: i64 },
}

/// A page of the site the widget is on, as the visitor's browser tells it. Untrusted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
}

/// The identifier of a visitor: `<name of the source>:<digest>`, where the digest is 64 hex digits of the
/// SHA-256 of the visitor's secret or, behind a token, of its `sub`.
pub fn visitor(source: &SourceName, digest: &str) -> Identifier {
    Identifier { kind: IdentifierKind::Visitor, value: format!("{}:{digest}", source.name()) }
}
