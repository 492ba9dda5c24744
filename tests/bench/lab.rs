//! Both sides, ready to be measured: the hand-made pipeline and Frontdesk on stores of the same kind, on
//! the same disk.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;

use crate::handmade::store::Store;
use crate::hooks::Pbx;
use crate::http;
use crate::machine::micros;
use crate::postgres::Postgres;
use crate::process::{Nats, PATIENCE, Process, answering, free_addr};
use crate::product::{Product, Setup};

/// Which store both sides use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum StoreKind {
    Sqlite,
    Postgres,
}

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    /// Both sides take turns so many times.
    pub(crate) rounds: usize,
    /// Hooks of one line of one round.
    pub(crate) hooks: usize,
    /// How long a rate is held, and a page is read.
    pub(crate) seconds: u32,
    /// Mails in a mailbox that is read for the first time.
    pub(crate) mails: usize,
}

/// Everything that runs for one store.
pub(crate) struct Lab {
    pub(crate) size: Size,
    pub(crate) pbx: Pbx,
    pub(crate) by_hand: HandMade,
    /// `frontdesk up`.
    pub(crate) desk: Product,
    pub(crate) token: String,
    /// The telephone's role alone: there is no core, so nothing is recorded.
    pub(crate) door: Product,
    pub(crate) postgres: Option<Postgres>,
    /// The nats-server of the hand-made pipeline and of the door.
    pub(crate) nats: Nats,
    program: PathBuf,
    folder: PathBuf,
}

impl Lab {
    pub(crate) async fn open(
        program: &Path,
        kind: StoreKind,
        folder: &Path,
        size: Size,
    ) -> anyhow::Result<Self> {
        let postgres = match kind {
            StoreKind::Sqlite => None,
            StoreKind::Postgres => Some(Postgres::start(folder).await?),
        };
        let database = |name: &str| match &postgres {
            Some(server) => server.create(name),
            None => Ok(format!("sqlite://{}", folder.join(format!("{name}.db")).display())),
        };
        let nats = Nats::start(folder).await?;
        let by_hand = HandMade::start(folder, &nats.url, database("handmade")?).await?;
        let desk = Setup {
            program,
            folder: folder.join("desk"),
            store_url: database("frontdesk")?,
            nats_url: String::new(),
            sources: String::new(),
        };
        let desk = Product::start(&desk).await?;
        let token = desk.token()?;
        let door = Setup {
            program,
            folder: folder.join("door"),
            store_url: String::new(),
            nats_url: nats.url.clone(),
            sources: String::new(),
        };
        let door = Product::start(&door).await?;
        let (program, folder) = (program.to_owned(), folder.to_owned());
        Ok(Self { size, pbx: Pbx::new(), by_hand, desk, token, door, postgres, nats, program, folder })
    }

    /// Another `frontdesk up` with these sources, in a folder and a database of its own.
    pub(crate) async fn another(&self, name: &str, sources: String) -> anyhow::Result<Product> {
        let store_url = match &self.postgres {
            Some(server) => server.create(name)?,
            None => String::new(),
        };
        let folder = self.folder.join(name);
        let setup = Setup { program: &self.program, folder, store_url, nats_url: String::new(), sources };
        Product::start(&setup).await
    }

    /// The database server's processes, if there is one.
    pub(crate) fn database_pids(&self) -> Vec<u32> {
        self.postgres.as_ref().map(Postgres::pids).unwrap_or_default()
    }
}

/// The hand-made pipeline in its process.
pub(crate) struct HandMade {
    process: Process,
    pub(crate) addr: SocketAddr,
    store_url: String,
}

impl HandMade {
    async fn start(folder: &Path, nats: &str, store_url: String) -> anyhow::Result<Self> {
        let addr = free_addr();
        let mut command = Command::new(std::env::current_exe().context("could not find our own program")?);
        command.args([
            "serve",
            "--listen",
            &addr.to_string(),
            "--nats",
            nats,
            "--store",
            &store_url,
            "--spool",
        ]);
        let mut process = Process::start("handmade", command.arg(folder.join("spool")), folder)?;
        answering(addr, &mut process).await?;
        Ok(Self { process, addr, store_url })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// A look at its store from here.
    pub(crate) async fn store(&self) -> anyhow::Result<Store> {
        Store::open(&self.store_url).await
    }

    /// The number of each contact that came to its end since the last time, and when.
    pub(crate) async fn commits(&self) -> anyhow::Result<Vec<(u32, u64)>> {
        let (_, body) = http::get(self.addr, "/commits", "").await?;
        let text = std::str::from_utf8(&body).context("the commits are no text")?;
        text.lines()
            .map(|line| {
                let (number, at) = line.split_once(' ').context("a commit is no pair")?;
                Ok((number.parse().context("no number")?, at.parse().context("no time")?))
            })
            .collect()
    }

    /// Waits until so many more have come to their end.
    pub(crate) async fn committed(&mut self, rows: usize) -> anyhow::Result<Vec<(u32, u64)>> {
        let deadline = micros() + u64::try_from(PATIENCE.as_micros()).unwrap_or(u64::MAX);
        let mut commits = Vec::with_capacity(rows);
        while commits.len() < rows {
            commits.extend(self.commits().await?);
            self.process.check()?;
            if micros() > deadline {
                anyhow::bail!("{} of {rows} came to their end by hand in two minutes", commits.len());
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        Ok(commits)
    }
}
