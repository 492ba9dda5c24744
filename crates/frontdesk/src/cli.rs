//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use timeline::Role;

/// Every call, e-mail and chat on one client timeline, in front of the right person fast.
#[derive(Debug, Parser)]
#[command(name = "frontdesk", version)]
pub(crate) struct Cli {
    /// The configuration file; see config/frontdesk.toml for every option.
    #[arg(long, global = true, env = "FRONTDESK_CONFIG")]
    pub(crate) config: Option<PathBuf>,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Everything in one process, on embedded defaults.
    Up,
    /// Play a clinic's day through the real doors, and open the console on it; runs an instance if none runs.
    Demo(Demo),
    /// Some roles, with NATS and PostgreSQL outside.
    Run {
        /// Repeated or with commas.
        #[arg(long = "role", required = true, value_delimiter = ',')]
        roles: Vec<RoleName>,
    },
    /// Read the configuration, say what is wrong with it, print what is in force.
    CheckConfig,
    /// Bring the store to this version's tables and exit.
    Migrate,
    /// Hand one mail, read from standard input, to the running instance: the pipe of a mail system.
    ///
    /// Exits 0 when it is kept, 65 when this mail never can be (none at all, or over 64 MiB), and 75
    /// whenever the mail system should keep it and try again.
    Mail {
        /// The mailbox's name: `support` for [email.support].
        #[arg(long)]
        source: String,
    },
    /// Keys to the API.
    #[command(subcommand)]
    Token(TokenCommand),
    /// Rebuild clients, entries and conversations from the log.
    Replay {
        /// Only compare; change nothing. Exits 1 when something differs.
        #[arg(long)]
        check: bool,
    },
    /// Try the configured routing on the conversations of the last days; decides and changes nothing.
    ///
    /// Give the new rules with --config, before the running instance gets them.
    DryRun {
        #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u16).range(1..=366))]
        days: u16,
    },
    /// Ask everything we depend on how it is.
    Doctor,
    /// Exit 0 when the instance at URL is ready; for containers without curl.
    Healthcheck {
        /// Default: /readyz of `http.listen`.
        url: Option<String>,
    },
    /// Print the OpenAPI document.
    Openapi,
    /// Play the part of a source against a running instance.
    #[command(subcommand)]
    Simulate(SimulateCommand),
    /// A connector's journal.
    #[command(subcommand)]
    Journal(JournalCommand),
    /// Becomes the supervised nats-server, in a way that it ends with us.
    #[command(hide = true)]
    NatsChild {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        argv: Vec<OsString>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum RoleName {
    /// Takes the hooks of phone systems.
    Phone,
    /// Watches mailboxes, takes mails that are handed in, and sends answers.
    Email,
    /// Holds the sockets of the visitors of web sites.
    Chat,
    /// Records contacts on the timeline.
    Core,
    /// Serves agents and integrators.
    Api,
}

#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// Another day, where one was played already.
    #[arg(long)]
    pub(crate) again: bool,
    /// As it happens, in about two minutes, so that one can watch it in the console.
    #[arg(long)]
    pub(crate) live: bool,
    /// So many times as fast as --live.
    #[arg(long, default_value_t = 20, conflicts_with = "live", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) speed: u32,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// Make a token, valid at once, and print it: the only time it is shown.
    Create {
        #[arg(long)]
        role: Role,
        /// Whose it is.
        #[arg(long)]
        name: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum SimulateCommand {
    /// Call a line of ours, as its phone system would tell it: signed webhooks.
    Phone(SimulatePhone),
    /// Write a mail and hand it in, as a mail server does.
    Email(SimulateEmail),
    /// Write a line in a chat, as a visitor of a site does.
    Chat(SimulateChat),
}

#[derive(Debug, Args)]
pub(crate) struct SimulatePhone {
    /// The line's name; default: the only one.
    #[arg(long)]
    pub(crate) source: Option<String>,
    #[arg(long, default_value = "+380501234567")]
    pub(crate) from: String,
    #[arg(long, default_value = "+380800500500")]
    pub(crate) to: String,
    /// The caller's display name.
    #[arg(long)]
    pub(crate) name: Option<String>,
    #[arg(value_enum, default_value = "missed")]
    pub(crate) story: CallStory,
    /// So many calls, one after the other.
    #[arg(long, default_value_t = 1)]
    pub(crate) count: u32,
}

#[derive(Debug, Args)]
pub(crate) struct SimulateEmail {
    /// The mailbox's name; default: the only one.
    #[arg(long)]
    pub(crate) source: Option<String>,
    #[arg(long, default_value = "olena@example.com")]
    pub(crate) from: String,
    /// The sender's display name.
    #[arg(long)]
    pub(crate) name: Option<String>,
    #[arg(long, default_value = "Where is my order?")]
    pub(crate) subject: String,
    #[arg(default_value = "Good morning, is anybody there?")]
    pub(crate) text: String,
}

#[derive(Debug, Args)]
pub(crate) struct SimulateChat {
    /// The widget's name; default: the only one.
    #[arg(long)]
    pub(crate) source: Option<String>,
    /// Who is signed in on the site; a token is signed for them.
    #[arg(long)]
    pub(crate) user: Option<String>,
    /// The address the token proves.
    #[arg(long)]
    pub(crate) email: Option<String>,
    /// The number the token proves.
    #[arg(long)]
    pub(crate) phone: Option<String>,
    /// The name the token tells.
    #[arg(long)]
    pub(crate) name: Option<String>,
    #[arg(default_value = "Good morning, is anybody there?")]
    pub(crate) text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum CallStory {
    /// It rings for 21 seconds and nobody answers.
    Missed,
    /// It is answered after 5 seconds and lasts 63.
    Answered,
    /// Nobody answers and the caller leaves a message.
    Voicemail,
    /// It rings; nothing more is told.
    Ringing,
}

#[derive(Debug, Subcommand)]
pub(crate) enum JournalCommand {
    /// Send in what an orphaned journal still holds, and exit when all of it is on the timeline.
    Drain {
        /// The data folder of a process that does not run any more, or one journal in it, such as `DATA/journal/contacts`.
        dir: PathBuf,
    },
}
