//! The API as its callers meet it: stories told over the router, with a store in memory and,
//! where its own reading matters, with SQLite.

#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod access;
mod acts;
mod agents;
mod attachments;
mod bad_input;
mod cards;
mod consoles;
mod conversing;
mod document;
mod figures;
mod fuzz;
mod house;
mod live;
mod memory;
mod merging;
mod observed;
mod offers;
mod operator;
mod paging;
mod shapes;
mod sqlite;
mod waiting;
mod writes;
mod written;
