//! Mailboxes: what a mail says, in our language.
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

pub mod address;
pub mod authentication;
pub mod automatic;
mod body;
pub mod bounce;
pub mod charset;
mod encoded;
pub mod headers;
pub mod html;
mod layout;
pub mod mime;
pub mod normalise;
mod phrases;
pub mod quote;
pub mod text;
pub mod thread;
pub mod transfer;
mod wording;

pub use normalise::{Attachment, Mailbox, normalise, unreadable};
