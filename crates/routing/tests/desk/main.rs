//! The desk, by what agents live through, by chance, and over whole days.

#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod offers;
mod simulation;
mod world;
