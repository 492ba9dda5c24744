//! What other servers may say to us.
#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod servers;
