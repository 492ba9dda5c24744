//! Mailboxes: mail in by IMAP, answers out by SMTP.
//!
//! A mail is fetched, read, handed to [`connector::Intake`], and only when that has it the cursor moves and
//! the mail is marked. A crash at any moment repeats mails, which their keys make harmless, and loses none.
//!
//! A mail is read by a pure function from bytes to one [`contact::Event`] and its attachments. It never
//! fails on a strange mail, never opens a mail inside a mail, never believes a sender about who they
//! are, never fetches anything, and its cost is bounded by the mail's length whatever is in it.
//!
//! Reading order: [`normalise()`] (from bytes to the event), [`mime`] (the tree of parts) over [`headers`],
//! `encoded`, [`transfer`] and [`charset`]; `body` (which parts are the text), [`html`] (made harmless, and
//! turned into text by `layout`), [`quote`] (new text, quote, signature), [`automatic`], [`bounce`] and
//! `wording` (what machines write), `phrases` (in which languages), [`thread`] (message ids), [`address`],
//! [`authentication`] (what our own server found out), [`text`] (fit to be kept).
//!
//! A mailbox: [`config`] (an `[email.<name>]` section becomes a [`Source`]), `doors` ([`connect`], and what
//! stands behind it), `reader` (the loop: `fetch` and `mark`), `cursor` (how far it was read), `session` (one
//! IMAP session on its own thread; `trouble`) over `line` (time-outs and TLS), `account` and `folder` (urls and names),
//! `take` ([`hand_in`], and how a batch is kept; `namesake`).
//!
//! An answer of ours becomes a mail in [`mod@compose`], a pure function too; lettre hands it to
//! a server, step by step, in [`courier`].

mod account;
pub mod address;
pub mod authentication;
pub mod automatic;
mod body;
pub mod bounce;
pub mod charset;
pub mod compose;
pub mod config;
pub mod courier;
mod cursor;
mod doors;
mod encoded;
mod folder;
pub mod headers;
pub mod html;
mod layout;
mod line;
pub mod mime;
mod namesake;
pub mod normalise;
mod phrases;
pub mod quote;
mod reader;
mod session;
mod take;
#[cfg(feature = "testing")]
pub mod testing;
pub mod text;
pub mod thread;
pub mod transfer;
mod trouble;
mod wording;

pub use compose::{Letter, Sender, Unsendable, compose};
pub use config::{Config, Problem, Source};
pub use courier::{Credential, Limits, MailCourier, Security, Server, Smtp, Unfit};
pub use doors::{Doors, Sources, connect, look_out};
pub use normalise::{Attachment, Mailbox, attachment, normalise, unreadable};
pub use reader::look;
pub use take::{NotTaken, Taken, hand_in};
