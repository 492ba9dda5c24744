//! The door: what is accepted here is on this machine's disk before its source hears "got it", and
//! stays there until core has committed it.
//!
//! It never says "got it" early, never retires a record by time or on a number from before a lost
//! link, never writes to a file whose flush failed, and knows neither NATS nor SQL: the broker is the
//! port [`broker::Broker`], and core is known by its floor alone.
//!
//! Reading order: [`door`] (what connectors see), [`journal`] (durable, in groups), [`segment`] (how
//! the files read), `recover` (what a start finds), `writer` (the one thread that writes), [`ledger`]
//! (what becomes of each record; pure, and the heart of it), [`broker`] and [`publisher`] (when it goes out), `flight` (how),
//! `spill` (raws too large to ride along), [`quarantine`] (the second door), [`disk`] (what is needed
//! of a disk), `meters` (the figures).

pub mod broker;
pub mod disk;
pub mod door;
mod flight;
pub mod journal;
pub mod ledger;
mod meters;
pub mod publisher;
pub mod quarantine;
mod recover;
pub mod segment;
mod spill;
mod writer;

pub use broker::{Broker, Floor, Link, PublishError, Receipt};
pub use disk::{Disk, RealDisk};
pub use door::{Door, DoorOptions, DoorStatus, DoorTask, Surroundings};
pub use journal::{Journal, Limits, Refusal};
pub use publisher::Pace;
pub use quarantine::QuarantineDoor;
pub use recover::OpenError;
