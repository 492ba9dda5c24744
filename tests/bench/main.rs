//! The benchmark: Frontdesk beside a hand-made pipeline with no features, in one run on one machine, so
//! that what the machine does to one it does to the other. Every figure is a ratio beside its absolute
//! values. The load shares the machine with both.
//!
//! Reading order: [`hooks`] and [`mails`] (the load), [`handmade`] (the yardstick), [`product`] (ours),
//! [`lab`] (both, running), [`crew`] (agents at their consoles), [`scenes`] (what is measured), [`figures`] (what is said about it).

mod crew;
mod figures;
mod follow;
mod gate;
mod handmade;
mod hooks;
mod http;
mod lab;
mod load;
mod machine;
mod mails;
mod numbers;
mod postgres;
mod process;
mod product;
mod scenes;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::{Parser, Subcommand, ValueEnum};

use crate::figures::Report;
use crate::lab::{Lab, Size, StoreKind};
use crate::machine::Peak;
use crate::product::{Product, Setup};
use crate::scenes::{backlog, chat, desk, fanout, flood, idle, pages, rest, steady};

#[derive(Parser)]
#[command(about = "Frontdesk beside a hand-made pipeline, in one run.")]
struct Cli {
    #[command(subcommand)]
    part: Option<Part>,
    /// The store of both sides; default: one after the other.
    #[arg(long)]
    store: Option<StoreKind>,
    /// What to measure; default: all.
    #[arg(long, value_delimiter = ',')]
    only: Vec<Scene>,
    /// A tenth of everything: to see that it works, not to be quoted.
    #[arg(long)]
    quick: bool,
    /// Both sides take turns so many times.
    #[arg(long)]
    rounds: Option<usize>,
    /// Hooks of one line of one round.
    #[arg(long)]
    hooks: Option<usize>,
    /// Mails in a mailbox of one round.
    #[arg(long)]
    mails: Option<usize>,
    /// JSON lines instead of a table.
    #[arg(long)]
    json: bool,
    /// The program to measure; default: `frontdesk` beside this one.
    #[arg(long)]
    frontdesk: Option<PathBuf>,
    /// Where everything is kept while it runs, on the disk to be measured; default: beside the programs.
    #[arg(long)]
    folder: Option<PathBuf>,
}

#[derive(Subcommand)]
enum Part {
    /// The hand-made pipeline, as a process of its own.
    #[command(hide = true)]
    Serve(handmade::Serve),
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Scene {
    Flood,
    Steady,
    Pages,
    Fanout,
    Backlog,
    Desk,
    /// With SQLite only.
    Idle,
    /// With SQLite only.
    Chat,
}

fn main() -> ExitCode {
    match run(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&error);
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stderr, reason = "the result goes to standard output")]
fn complain(error: &anyhow::Error) {
    eprintln!("bench: {error:#}");
}

fn run(cli: Cli) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Runtime::new().context("could not start the runtime")?;
    runtime.block_on(async {
        match cli.part {
            Some(Part::Serve(serve)) => handmade::serve(serve).await,
            None => bench(cli).await,
        }
    })
}

async fn bench(cli: Cli) -> anyhow::Result<()> {
    if cli.only.contains(&Scene::Pages) && !cli.only.contains(&Scene::Flood) {
        bail!("the pages that are read are of what a flood recorded: --only flood,pages");
    }
    let own = std::env::current_exe().context("could not find our own program")?;
    let beside = own.parent().context("our own program is nowhere")?;
    let program = cli.frontdesk.clone().unwrap_or_else(|| beside.join("frontdesk"));
    if !program.is_file() {
        bail!("{} is not there; `cargo build --release --workspace` makes it", program.display());
    }
    let program = program.canonicalize().context("could not find the program to measure")?;
    // Not under /tmp, which is memory on some machines.
    let folder = tempfile::Builder::new()
        .prefix("bench-")
        .tempdir_in(cli.folder.as_deref().unwrap_or(beside))
        .context("could not make a folder")?;
    let path = folder.path().canonicalize().context("could not find our folder")?;
    let report = Report::new(cli.json);
    machine::settle().await?;
    let flushes = machine::flushes_per_s(&path).context("could not write to the disk")?;
    report.note(&format!(
        "{} cores, load before we began {}; the disk flushes 1 KiB {flushes:.0} times a second",
        cores(),
        machine::load()
    ));
    let mut size = if cli.quick {
        Size { rounds: 1, hooks: 6_000, seconds: 1, mails: 1_000 }
    } else {
        Size { rounds: 3, hooks: 60_000, seconds: 4, mails: 5_000 }
    };
    size.rounds = cli.rounds.unwrap_or(size.rounds).max(1);
    size.hooks = cli.hooks.unwrap_or(size.hooks).max(1);
    size.mails = cli.mails.unwrap_or(size.mails).max(1);
    let stores = cli.store.map_or(vec![StoreKind::Sqlite, StoreKind::Postgres], |store| vec![store]);
    for store in stores {
        let name = match store {
            StoreKind::Sqlite => "sqlite",
            StoreKind::Postgres => "postgres",
        };
        report.title(&format!("Store: {name}"));
        let place = path.join(name);
        std::fs::create_dir_all(&place).context("could not make a folder")?;
        if let Err(error) = one_store(&cli, &report, &program, store, &place, size).await {
            // What the servers said is worth more than the room it takes.
            let kept = folder.keep();
            return Err(error.context(format!("the logs are in {}", kept.join(name).display())));
        }
    }
    Ok(())
}

async fn one_store(
    cli: &Cli,
    report: &Report,
    program: &Path,
    store: StoreKind,
    place: &Path,
    size: Size,
) -> anyhow::Result<()> {
    let wanted = |scene: Scene| cli.only.is_empty() || cli.only.contains(&scene);
    let rest = rest::measure(program, place, size.rounds * 2).await?;
    let mut lab = Lab::open(program, store, place, size).await?;
    let peak = Peak::watch(lab.desk.pids());
    if wanted(Scene::Flood) {
        flood::measure(&mut lab, report).await?;
    }
    if wanted(Scene::Steady) {
        steady::measure(&mut lab, report).await?;
    }
    if wanted(Scene::Pages) {
        pages::measure(&mut lab, report).await?;
    }
    if wanted(Scene::Fanout) {
        fanout::measure(&mut lab, report).await?;
    }
    if wanted(Scene::Backlog) {
        backlog::measure(&mut lab, report).await?;
    }
    if wanted(Scene::Desk) {
        desk::measure(&mut lab, report).await?;
    }
    if store == StoreKind::Sqlite && wanted(Scene::Idle) {
        idle::measure(&mut lab, report).await?;
    }
    if store == StoreKind::Sqlite && wanted(Scene::Chat) {
        chat::measure(&lab, report).await?;
    }
    let loaded_mib = peak.mib();
    let Lab { desk, door, postgres, nats, by_hand, .. } = lab;
    desk.stop()?;
    drop((door, by_hand, nats));
    let store_url = match &postgres {
        Some(server) => server.url("frontdesk"),
        None => format!("sqlite://{}", place.join("frontdesk.db").display()),
    };
    let again = Setup {
        program,
        folder: place.join("desk"),
        store_url,
        nats_url: String::new(),
        sources: String::new(),
    };
    let again = Product::start(&again).await?;
    rest::show(report, rest, loaded_mib, again.start_s);
    again.stop()
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
