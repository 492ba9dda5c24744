//! The names of this crate's metrics.

use std::time::Duration;

use metrics::{counter, gauge, histogram};

/// Requests answered, by route, method and status.
pub const REQUESTS: &str = "frontdesk_http_requests_total";
/// Seconds from a request's head to its answer's head, by route.
pub const SECONDS: &str = "frontdesk_http_request_seconds";
/// Event streams open now.
pub const SUBSCRIBERS: &str = "frontdesk_sse_subscribers";
/// Agents connected through this process now.
pub const AGENTS: &str = "frontdesk_agents_connected";

/// Times a screen was told to read anew, because more happened than it could be told.
pub const SKIPPED: &str = "frontdesk_sse_skipped_total";

pub(crate) fn skipped() {
    counter!(SKIPPED).increment(1);
}

pub(crate) fn answered(route: String, method: &'static str, status: u16, took: Duration) {
    histogram!(SECONDS, "route" => route.clone()).record(took.as_secs_f64());
    counter!(REQUESTS, "route" => route, "method" => method, "status" => status.to_string()).increment(1);
}

pub(crate) fn connected(agents: usize) {
    gauge!(AGENTS).set(u32::try_from(agents).unwrap_or(u32::MAX));
}

/// Counts one event stream for as long as it lives.
pub(crate) struct Subscribed(());

impl Subscribed {
    pub(crate) fn new() -> Self {
        gauge!(SUBSCRIBERS).increment(1.0);
        Self(())
    }
}

impl Drop for Subscribed {
    fn drop(&mut self) {
        gauge!(SUBSCRIBERS).decrement(1.0);
    }
}
