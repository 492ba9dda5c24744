//! Throwaway mail servers for tests: real ones, to be killed and started again.
//!
//! A server lives in a folder of its own under the system's temporary folder, listens on free loopback
//! ports, and never outlives the process that started it, however that ends: a watcher holds the other
//! end of a pipe.

mod authority;
mod dovecot;
mod postfix;
mod process;

pub use authority::{Authority, Identity};
pub use dovecot::Dovecot;
pub use postfix::Postfix;
