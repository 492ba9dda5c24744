//! To whom, and how fast? Pure functions from conversations, queues, agents and the clock. Knows no database.
//!
//! Nothing here reads a clock, waits or stores: the moment comes with what happened, and a timer is a deadline
//! that somebody else watches. The same facts therefore give the same decisions, today and in a replay.
//!
//! Reading order: [`facts`], [`expression`] and [`rules`] (which queue, how urgent, which promises: CEL over what is
//! known of an event and its client), [`order`] (the waiting list: value first, and nobody waits for ever),
//! [`agent`], [`desk`] and [`offer`] (one agent at a time), [`hours`] and [`calendar`] (business
//! time), [`promise`] (when an answer is due, and whether it was in time). [`testing`] is for tests.

pub mod agent;
pub mod calendar;
pub mod desk;
pub mod expression;
pub mod facts;
pub mod hours;
pub mod offer;
pub mod order;
pub mod promise;
pub mod rules;
pub mod testing;
