//! What may come back from the bus, the log or a URL.
#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod events;
