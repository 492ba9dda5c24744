//! Phone systems: webhooks in, one small file per provider.
//!
//! A PBX tells us about calls by HTTP requests. Each is verified by its provider's rules, read into
//! [`contact::Event`]s, handed to [`connector::Intake`], and only then answered with what the provider
//! expects.
//!
//! It never reads the body of a request that was not verified, never trusts the `Host` header, never
//! steers a live call (the PBX's own flow is configured in the PBX), never fetches a recording, and
//! knows neither NATS nor SQL.
//!
//! Reading order: [`config`] (a `[phone.<name>]` section becomes a [`Line`]), [`webhook`] (the door),
//! [`request`] (trust is a type), [`provider`] (the interface; one small file per provider under
//! [`providers`]), [`normalise`] (from a provider's reading to events, by the numbers of
//! [`connector::number`]), [`form`] (the form encoding, byte for byte), [`operator`] (releasing and re-reading
//! what is kept), `problem` (errors as RFC 9457).

pub mod config;
pub mod form;
pub mod normalise;
pub mod operator;
mod problem;
pub mod provider;
pub mod request;
pub mod webhook;

/// One small file per provider.
pub mod providers {
    pub mod twilio;
}

use std::collections::BTreeMap;

use contact::SourceName;

pub use config::{Config, Line, Problem};
pub use connector::Secret;
pub use operator::{ReleaseError, release_unverified, renormalise, reverify};
pub use webhook::{Doors, connect};

/// Every configured line by its source.
pub type Lines = BTreeMap<SourceName, Line>;
