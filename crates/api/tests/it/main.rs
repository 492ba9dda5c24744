//! The API as its callers meet it: stories told over the router, with a store in memory and,
//! where its own reading matters, with SQLite.

#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod access;
mod acts;
mod attachments;
mod bad_input;
mod conversing;
mod document;
mod fuzz;
mod house;
mod live;
mod memory;
mod merging;
mod observed;
mod operator;
mod paging;
mod shapes;
mod sqlite;
mod writes;
mod written;
