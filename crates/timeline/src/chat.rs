//! A session of a chat is what the visitor wrote between two silences.

use contact::Event;
use contact::chat::Page;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The fold of a visitor's lines of one session.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Session {
    /// How many lines the visitor wrote.
    lines: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    began_at: Option<Timestamp>,
    /// The page the visitor was on last.
    #[serde(skip_serializing_if = "Option::is_none")]
    page: Option<Page>,
}

impl Session {
    /// Adds one line.
    pub fn fold(&mut self, event: &Event, page: Option<&Page>) {
        self.lines += 1;
        let at = event.occurred_at;
        self.began_at = Some(self.began_at.map_or(at, |known| known.min(at)));
        if let Some(page) = page {
            self.page = Some(page.clone());
        }
    }

    /// When its first line was written.
    pub fn began_at(&self) -> Option<Timestamp> {
        self.began_at
    }
}

/// A chat line as the timeline shows it.
#[derive(Debug, Serialize)]
pub struct LineContent<'a> {
    /// The visitor's own id of it.
    pub message_id: &'a str,
    pub text: &'a str,
    /// Its number within the chat.
    pub seq: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub page: Option<&'a Page>,
}

/// The thread of one visitor's conversations.
pub(crate) fn thread(visitor: &str) -> String {
    format!("chat/{visitor}")
}

/// The session a contact key of this visitor names: the part after `<source>/<digest>/`.
pub(crate) fn session_of(event: &Event) -> &str {
    event.contact.0.rsplit_once('/').map_or("", |(_, session)| session)
}
