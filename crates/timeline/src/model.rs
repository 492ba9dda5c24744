//! The nouns, as the decisions see them and a store keeps them.
//!
//! Each subject has its file, and everybody else knows the nouns by their bare names. Reading order: `log` (what
//! came), `client`, `entry`, `chat`, `conversation`, `reply`, `agent`, `token`.

#[macro_use]
mod words;

mod agent;
mod chat;
mod client;
mod conversation;
mod entry;
mod log;
mod reply;
mod token;

pub use self::agent::{Agent, Reservation, ReservationState};
pub use self::chat::{Chat, ChatLine};
pub use self::client::{Apart, Claim, Client, Holder, Merge, Preferences, Relocation, Stage, Talks, Wish};
pub use self::conversation::{Callback, Conversation, Status};
pub use self::entry::{Contact, ContactState, Entry, EntryKind, Message, in_brief};
pub use self::log::{Announcement, Arrival, DeadLetter, FeedItem, FeedKind, LetterState, Logged};
pub use self::reply::{Reply, ReplyState};
pub use self::token::{Role, Token};
