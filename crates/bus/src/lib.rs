//! NATS JetStream: streams and consumers in one table, publish, batch pull, settle, hints, and the
//! supervised local server.
//!
//! The bus carries contacts from the doors to the core. It is *not* where durability lives: the
//! journal of the door keeps a record until the core has committed it, so everything here may be
//! repeated, and nothing here may be believed longer than the connection it was said on. That is
//! why a [`Link`] counts generations, and why no command outlives the connection it was meant for.
//!
//! It never looks into a payload, never decides what becomes of a contact (that is the
//! [`Handler`]'s business), never logs subjects' payloads, and never acknowledges what the handler
//! has not committed.
//!
//! Reading order: [`topology`] (what exists on the broker, and why), `conn` (one connection, its
//! generations), `publish` ([`Bus`]: in), `handler` and `judge` (the verdicts), `lane` and `consume`
//! (out), `hints`, [`kv`] (what processes agree on), then [`server`] (the local nats-server). `names`
//! lists the metrics.

mod backoff;
mod conn;
mod consume;
mod handler;
mod hints;
mod judge;
pub mod kv;
mod lane;
mod names;
mod publish;
pub mod server;
pub mod topology;
mod version;

pub use conn::{Auth, BusError, Link, Options};
pub use consume::Lanes;
pub use handler::{Delivery, Failure, Handler};
pub use publish::{Bus, Progress, PublishError, Receipt};
pub use version::{OLDEST, Version};
