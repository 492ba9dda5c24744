//! What is measured, a file each, in the order of a contact's way: hooks, mails, chats.

pub(crate) mod backlog;
pub(crate) mod chat;
mod decide;
pub(crate) mod desk;
pub(crate) mod fanout;
pub(crate) mod flood;
pub(crate) mod idle;
pub(crate) mod pages;
pub(crate) mod rest;
pub(crate) mod steady;
