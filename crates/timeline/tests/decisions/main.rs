//! What a run of facts makes of the timeline, told over a store of plain maps.

#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod acquainted;
mod apart;
mod back;
mod calls;
mod desks;
mod floor;
mod lines;
mod lived;
mod mails;
mod memory;
mod offers;
mod people;
mod promises;
mod routed;
mod simulated;
mod told;
mod turn;
mod wishes;
