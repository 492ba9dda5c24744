//! The language: what happened, on which channel, by whom.
//!
//! Everything that crosses a boundary between crates or processes is said in these types. They know
//! serde and nothing else: no runtime, no SQL, no broker.
//!
//! Reading order: [`event`] (the central type), [`call`] (what a telephone call says), [`email`] (what
//! a mail says), [`chat`] (what a visitor of a site says), [`act`] (what we did ourselves), [`reply`] (what
//! became of an answer), [`work`] (who is to do what by when), [`identifier`] (how people are addressed), [`raw`] (what arrived, byte for byte),
//! [`ids`] (names of our own things, derived and never minted), [`envelope`] (the event as CloudEvents
//! JSON), [`suspect`] (a request that was not believed).

pub mod act;
pub mod call;
pub mod chat;
pub mod email;
pub mod envelope;
pub mod event;
pub mod identifier;
pub mod ids;
pub mod raw;
pub mod reply;
pub mod suspect;
pub mod work;

pub use act::{Act, Actor, ContactHours, Deed, Introduction, Permission};
pub use call::{Basis, CallChange, CallState, Outcome, Recording, RecordingKind, Transcript};
pub use chat::{ChatChange, ChatFact};
pub use email::Email;
pub use envelope::Undecodable;
pub use event::{
    Channel, ContactKey, Content, Direction, Event, EventKey, Invalid, SourceName, Trust, Unreadable, micros,
};
pub use identifier::{Identifier, IdentifierKind, Level, Party};
pub use ids::{ClientId, ContactId, ConversationId, EntryId, MergeId, ReservationId, content_digest};
pub use raw::{INLINE_LIMIT, Raw, RawBytes};
pub use reply::{MailThread, Order, ReplyChange, ReplyFate};
pub use suspect::Suspect;
pub use work::{
    Deadline, Decision, FailedRule, Notice, OfferEnd, Presence, Priority, Profile, PromiseKind, Target,
};
