//! What a connector is, and the ports through which it speaks to the rest of the house.
//!
//! A connector reads one kind of source (a phone system, mailboxes, a chat) and turns each inbound
//! contact into [`contact::Event`]s. It knows neither NATS nor SQL: it hands over to [`Intake`] and
//! says "got it" to its source only after that returned.
//!
//! Reading order: this file (a connector is a value), [`ports`] (where it puts things),
//! [`mod@supervise`] (who restarts it), [`testing`] (the contract every connector is tested by); and what is
//! the same whichever way somebody comes: [`address`] and [`number`] (one form for one person), [`secret`], [`problem`].

pub mod address;
pub mod number;
pub mod ports;
pub mod problem;
pub mod secret;
pub mod supervise;
pub mod testing;

use std::collections::BTreeMap;
use std::sync::Arc;

use contact::SourceName;
use futures::future::BoxFuture;
use jiff::Timestamp;

pub use ports::{
    Courier, CursorError, Cursors, Head, Held, Intake, IntakeError, Line, Live, Mark, Quarantine, Sign,
    Signal, Thread, ThreadAway, Tried,
};
pub use secret::Secret;
pub use supervise::{Supervisor, TaskState};

/// Something people can reach us through.
pub struct Connector {
    /// `phone`, `email`, `chat`.
    pub name: &'static str,
    /// Doors it opens on our HTTP server: webhooks, sockets. May be empty.
    pub routes: axum::Router,
    /// What it does by itself: watching a mailbox, polling. Each is restarted when it ends.
    pub tasks: Vec<Task>,
    /// By which sources it brings answers to clients.
    pub couriers: BTreeMap<SourceName, Arc<dyn Courier>>,
}

/// One thing a connector does by itself. `run` is called again after every end or error.
pub struct Task {
    /// For logs and metrics: `email/support`.
    pub name: String,
    pub run: Box<dyn Fn() -> BoxFuture<'static, Result<(), TaskError>> + Send + Sync>,
}

/// Why a task ended; read by a person, so any error will do.
pub type TaskError = Box<dyn std::error::Error + Send + Sync>;

/// Where the time comes from. Only the binary reads the real clock.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;
