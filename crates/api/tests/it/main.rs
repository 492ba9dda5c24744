//! The API as its callers meet it: stories told over the router, with a store in memory.

#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod access;
mod bad_input;
mod document;
mod house;
mod live;
mod memory;
mod observed;
mod operator;
mod paging;
mod shapes;
mod writes;
