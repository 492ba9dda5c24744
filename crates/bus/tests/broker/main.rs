//! Everything that needs a real nats-server. Each test has its own, in a folder of its own.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop where it is")]

mod bus;
mod kv;
mod server;
mod support;
