//! Stories are told to the built `frontdesk`, with real servers beside it. This is what they are told with.
//!
//! It never reaches into the program: it starts it, signs webhooks as a phone system does, reads the API as
//! an agent does, and kills what it started, by id and nothing else. Nothing here waits for time to pass;
//! everything waits for a state, with a deadline.
//!
//! Reading order: [`setup`] and [`app`] (the program), [`pbx`] and [`load`] (who calls), [`visitor`] (who chats), [`agent`] and
//! [`follow`] (who looks), [`account`] (what came in is what is there), [`database`], [`nats`] and [`post`] (the
//! servers that are killed), [`wait`], [`process`], [`ports`], [`random`].

pub mod account;
pub mod agent;
pub mod app;
pub mod database;
pub mod follow;
pub mod load;
pub mod nats;
pub mod pbx;
pub mod ports;
pub mod post;
pub mod process;
pub mod random;
pub mod setup;
pub mod visitor;
pub mod wait;

pub use agent::Agent;
pub use app::App;
pub use database::Database;
pub use follow::Follower;
pub use load::{Facts, Load};
pub use nats::Nats;
pub use pbx::{Call, Pbx};
pub use post::Post;
pub use random::Random;
pub use setup::Setup;
pub use visitor::Visitor;
pub use wait::eventually;
