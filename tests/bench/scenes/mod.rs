//! What is measured, a file each, in the order of a contact's way.

pub(crate) mod fanout;
pub(crate) mod flood;
pub(crate) mod pages;
pub(crate) mod rest;
pub(crate) mod steady;
