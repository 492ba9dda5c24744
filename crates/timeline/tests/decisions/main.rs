//! What a run of facts makes of the timeline, told over a store of plain maps.

#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod apart;
mod calls;
mod mails;
mod memory;
mod people;
mod told;
mod turn;
