//! How people are addressed.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::event::Invalid;

/// An address of a client, in its one canonical form: E.164 for a phone, lower case with an A-label
/// domain for an e-mail.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Identifier {
    pub kind: IdentifierKind,
    pub value: String,
}

impl fmt::Display for Identifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.value)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IdentifierKind {
    Phone,
    Email,
    /// A chat visitor: `<source>:<sha256 of the secret or sub>`.
    Visitor,
    /// An id of another system: `<system>:<id>`.
    External,
}

impl IdentifierKind {
    pub fn as_str(self) -> &'static str {
        match self {
            IdentifierKind::Phone => "phone",
            IdentifierKind::Email => "email",
            IdentifierKind::Visitor => "visitor",
            IdentifierKind::External => "external",
        }
    }
}

impl fmt::Display for IdentifierKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for IdentifierKind {
    type Err = Invalid;
    fn from_str(text: &str) -> Result<Self, Invalid> {
        match text {
            "phone" => Ok(IdentifierKind::Phone),
            "email" => Ok(IdentifierKind::Email),
            "visitor" => Ok(IdentifierKind::Visitor),
            "external" => Ok(IdentifierKind::External),
            _ => Err(Invalid(format!(
                "`{text}` is no kind of identifier; it is phone, email, visitor or external"
            ))),
        }
    }
}

/// How sure we are that an identifier belongs to its client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Merely stated.
    Claimed,
    /// Seen as caller id or From.
    Observed,
    /// Signed token, DMARC pass told by our own server, confirmed code.
    Proved,
}

impl Level {
    pub fn as_str(self) -> &'static str {
        match self {
            Level::Claimed => "claimed",
            Level::Observed => "observed",
            Level::Proved => "proved",
        }
    }
}

impl FromStr for Level {
    type Err = Invalid;
    fn from_str(text: &str) -> Result<Self, Invalid> {
        match text {
            "claimed" => Ok(Level::Claimed),
            "observed" => Ok(Level::Observed),
            "proved" => Ok(Level::Proved),
            _ => Err(Invalid(format!("`{text}` is no level; it is claimed, observed or proved"))),
        }
    }
}

/// One side of a contact, as the channel presented it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Party {
    pub kind: IdentifierKind,
    /// The canonical form; `None` when withheld or not a valid address. Nobody is known by `None`.
    pub value: Option<String>,
    /// As it came, for the eyes of an agent.
    pub raw: String,
    /// The display name the channel gave.
    pub name: Option<String>,
}

impl Party {
    pub fn identifier(&self) -> Option<Identifier> {
        self.value.as_ref().map(|value| Identifier { kind: self.kind, value: value.clone() })
    }
}
