//! Frontdesk: every call, e-mail and chat on one client timeline, in front of the right person fast.
//!
//! The binary alone knows everybody. Reading order: [`cli`] (what can be asked), [`config`] (what is
//! configured), [`wire`] (where the concrete types meet, in the order of a contact's way),
//! [`recorder`] (from the bus onto the timeline), [`desk`] (what the API asks of the house),
//! [`commands`] (one file a command).

mod board;
mod broker;
mod cli;
mod commands;
mod config;
mod cursors;
mod demo;
mod desk;
mod doors;
#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod harness;
mod keeper;
mod late;
mod live;
mod lock;
mod metric;
mod nats;
mod nobodys;
mod outgoing;
mod pipe;
mod policy;
mod recorder;
mod serve;
mod sources;
mod stop;
mod storeroom;
mod story;
mod wire;

use std::process::ExitCode;

use clap::Parser as _;

use crate::cli::Cli;
use crate::config::{EXIT_CONFIG, Wrong};

/// A contact is many small allocations over several threads: with this allocator one costs a sixth to a
/// third less CPU than with the C library's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // Everything we keep is about people: nothing of it is for other users of this machine.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o027));
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return commands::misunderstood(&error),
    };
    match commands::run(cli) {
        Ok(code) => code,
        Err(error) => {
            complain(&error);
            if error.is::<Wrong>() { ExitCode::from(EXIT_CONFIG) } else { ExitCode::FAILURE }
        }
    }
}

/// The error and its causes on standard error: the one place where a chain is printed.
#[expect(clippy::print_stderr, reason = "the log may not be there yet, and a person is looking")]
fn complain(error: &anyhow::Error) {
    eprintln!("frontdesk: {error:#}");
}
