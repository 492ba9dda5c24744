//! The memory: what every client and we said to each other, over all channels.
//!
//! The log of contact events is the truth. Clients, contacts, entries and conversations are
//! projections of it, made by [`attach::attach`], a pure function; [`mod@record`] is the one place that
//! reads, decides and writes; [`mod@replay`] does it again from the log. This crate knows no database: a
//! store implements [`port::Store`].
//!
//! Reading order: [`model`] (the nouns), [`call`] and [`mail`] (how facts fold into a call, a mail),
//! [`mod@attach`] (the decisions), [`port`] (what a store promises), [`mod@record`], [`mod@act`], `unmerge`
//! (which takes clients apart by taking their history again), [`mod@replay`].

pub mod act;
pub mod attach;
pub mod call;
mod changed;
pub mod chat;
pub mod clock;
pub mod figures;
pub mod hours;
pub mod mail;
pub mod model;
pub mod policy;
pub mod port;
pub mod preview;
pub mod record;
pub mod rehearsal;
pub mod replay;
pub mod reply;
mod settled;
pub mod stage;
pub mod turn;
mod unmerge;

pub use act::{Refusal, act};
pub use attach::{Mode, attach};
pub use call::Call;
pub use mail::Mail;
pub use model::{
    Agent, Announcement, Apart, Arrival, Callback, Chat, ChatLine, Claim, Client, Contact, ContactState,
    Conversation, DeadLetter, Entry, EntryKind, FeedItem, FeedKind, Holder, LetterState, Logged, Merge,
    Message, Preferences, Relocation, Reply, ReplyState, Reservation, ReservationState, Role, Stage, Status,
    Talks, Token, Wish, in_brief,
};
pub use policy::Policy;
pub use port::{
    AgentView, Answered, Candidate, Card, Changes, ChatView, ConversationView, Digests, Dossier, FeedChange,
    FindClients, FindContacts, FindConversations, History, HoldBounds, Known, ListedLetter, ListedSuspect,
    Page, Store, StoreError, Ties, Tx, Wanted, Work, WorkOf,
};
pub use preview::{Preview, Side, preview};
pub use record::{Recorded, letter_for, record};
pub use rehearsal::rehearse;
pub use replay::{Replayed, replay};
