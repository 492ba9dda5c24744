//! The chat through its own doors: real sockets over loopback.
#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod contract;
mod delivery;
mod entry;
mod fuzz;
mod hostile;
mod lines;
mod pages;
mod people;
mod polling;
mod tokens;
mod world;
