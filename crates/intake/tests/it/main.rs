//! The door against a disk that loses power and a broker that loses records.
#![expect(clippy::unwrap_used, reason = "a helper of a test fails as the test does")]

mod door;
mod fuzz;
mod journal;
mod ledger;
mod power;
mod publisher;
mod sim_broker;
mod sim_disk;
mod spill;
mod support;
