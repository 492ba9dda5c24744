//! One file a command.

mod check_config;
mod demo;
mod doctor;
mod dry_run;
mod healthcheck;
mod journal;
pub(crate) mod mail;
mod migrate;
mod openapi;
mod replay;
mod run;
mod simulate;
mod token;
mod up;

use std::fs::File;
use std::io::IsTerminal as _;
use std::process::ExitCode;
use std::sync::Mutex;

use anyhow::Context as _;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::cli::{Cli, Command, JournalCommand, SimulateCommand, TokenCommand};
use crate::config::{Config, Log, LogFormat};

/// Does what was asked and says how it ended.
pub(crate) fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    if let Command::NatsChild { argv } = &cli.command {
        // It returns only when nats-server could not be started.
        return Err(bus::server::exec_child(argv).into());
    }
    if let Command::Openapi = &cli.command {
        return openapi::run();
    }
    let environment =
        std::env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?)));
    if let Command::Mail { source } = &cli.command {
        return Ok(mail::run(cli.config.as_deref(), environment, source));
    }
    let config = Config::load(cli.config.as_deref(), environment)?;
    if let Command::CheckConfig = &cli.command {
        return check_config::run(&config);
    }
    // Where it runs a house of its own, `demo` has a place for the log.
    if !matches!(cli.command, Command::Demo(_)) {
        start_log(&config.log)?;
    }
    drop(rustls::crypto::ring::default_provider().install_default());
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("could not start the runtime")?;
    let code = runtime.block_on(async {
        match cli.command {
            Command::Up => up::run(config).await,
            Command::Demo(asked) => demo::run(config, asked).await,
            Command::Run { roles } => run::run(config, roles.into_iter().collect()).await,
            Command::Migrate => migrate::run(&config).await,
            Command::Token(TokenCommand::Create { role, name }) => token::create(&config, role, name).await,
            Command::DryRun { days } => dry_run::run(&config, days).await,
            Command::Replay { check } => replay::run(&config, check).await,
            Command::Doctor => doctor::run(&config).await,
            Command::Healthcheck { url } => healthcheck::run(&config, url).await,
            Command::Simulate(SimulateCommand::Phone(call)) => simulate::phone(&config, call).await,
            Command::Simulate(SimulateCommand::Email(mail)) => simulate::email(&config, mail).await,
            Command::Simulate(SimulateCommand::Chat(chat)) => simulate::chat(&config, chat).await,
            Command::Journal(JournalCommand::Drain { dir }) => journal::drain(&config, &dir).await,
            Command::CheckConfig | Command::Openapi | Command::Mail { .. } | Command::NatsChild { .. } => {
                Ok(ExitCode::SUCCESS)
            }
        }
    });
    // A blocking read that never ends must not keep the process.
    runtime.shutdown_background();
    code
}

/// Says what is wrong with the command line, or the help that was asked for. A mail pipe with a mistake in
/// it must not send mails back, so it ends as any other mail that is not kept.
pub(crate) fn misunderstood(error: &clap::Error) -> ExitCode {
    // Without a place to print it there is still the exit code.
    error.print().ok();
    let is_mail = std::env::args_os().any(|argument| argument == "mail");
    match error.exit_code() {
        0 => ExitCode::SUCCESS,
        _ if is_mail => ExitCode::from(mail::EXIT_LATER),
        code => ExitCode::from(u8::try_from(code).unwrap_or(1)),
    }
}

fn start_log(log: &Log) -> anyhow::Result<()> {
    start(log, std::io::stderr, std::io::stderr().is_terminal())
}

/// The log, somewhere else.
fn start_log_in(log: &Log, file: Mutex<File>) -> anyhow::Result<()> {
    start(log, file, false)
}

fn start<W>(log: &Log, place: W, coloured: bool) -> anyhow::Result<()>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let filter = EnvFilter::try_new(&log.level)?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(place).with_ansi(coloured);
    match log.format {
        LogFormat::Text => lines.try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    }
    .map_err(|error| anyhow::anyhow!("could not start the log: {error}"))
}

/// For asking an instance of ours, never through a proxy: it is this machine, or beside it.
pub(crate) fn http() -> reqwest::ClientBuilder {
    reqwest::Client::builder().no_proxy()
}

/// Prints to standard output, where the answers of commands go.
#[expect(clippy::print_stdout, reason = "the answer of a command")]
fn say(text: impl std::fmt::Display) {
    println!("{text}");
}
