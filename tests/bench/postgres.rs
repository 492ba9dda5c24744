//! A PostgreSQL of our own that flushes, set up as for a small machine. (The throwaway servers of the tests
//! do not flush, so they would flatter.)

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, bail};

use crate::machine::children;
use crate::process::{PATIENCE, Process, answering, free_addr};

const ROLE: &str = "bench";

/// A running server.
pub(crate) struct Postgres {
    process: Process,
    port: u16,
    tools: Tools,
}

impl Postgres {
    pub(crate) async fn start(folder: &Path) -> anyhow::Result<Self> {
        let tools = Tools::find()?;
        let home = folder.join("postgres");
        std::fs::create_dir_all(&home).context("could not make a folder")?;
        if tools.as_root {
            run(Command::new("chown").arg("postgres:").arg(&home))?;
        }
        let data = home.join("data");
        run(tools.command("initdb").arg("-D").arg(&data).args([
            "-U",
            ROLE,
            "--auth=trust",
            "--encoding=UTF8",
            "--locale=C.UTF-8",
        ]))?;
        let addr = free_addr();
        let mut command = tools.command("postgres");
        command.arg("-D").arg(&data).args(["-p", &addr.port().to_string()]);
        for setting in [
            "listen_addresses=127.0.0.1",
            "unix_socket_directories=",
            "shared_buffers=1GB",
            "max_wal_size=8GB",
            "checkpoint_timeout=15min",
        ] {
            command.args(["-c", setting]);
        }
        let mut process = Process::start("postgres", &mut command, folder)?;
        answering(addr, &mut process).await?;
        let postgres = Self { process, port: addr.port(), tools };
        postgres.ready()?;
        Ok(postgres)
    }

    /// Makes an empty database; its URL.
    pub(crate) fn create(&self, database: &str) -> anyhow::Result<String> {
        run(self.client("createdb").arg(database))?;
        Ok(self.url(database))
    }

    pub(crate) fn url(&self, database: &str) -> String {
        format!("postgres://{ROLE}@127.0.0.1:{}/{database}", self.port)
    }

    /// The server and its backends.
    pub(crate) fn pids(&self) -> Vec<u32> {
        let mut pids = vec![self.process.pid()];
        pids.extend(children(self.process.pid()));
        pids
    }

    fn ready(&self) -> anyhow::Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while run(&mut self.client("pg_isready")).is_err() {
            if Instant::now() > deadline {
                bail!("PostgreSQL was not ready in time");
            }
        }
        Ok(())
    }

    fn client(&self, program: &str) -> Command {
        let mut command = self.tools.command(program);
        command.args(["-h", "127.0.0.1", "-U", ROLE, "-p"]).arg(self.port.to_string());
        command
    }
}

/// Where the programs are, and as whom they run.
struct Tools {
    bin: PathBuf,
    /// PostgreSQL refuses to run as root; then it runs as the user `postgres`.
    as_root: bool,
}

impl Tools {
    /// The newest version under Debian's folder, else what is on PATH.
    fn find() -> anyhow::Result<Self> {
        let debian = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
        let mut versions: Vec<(u32, PathBuf)> = debian
            .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
            .collect();
        versions.sort_unstable();
        let path = std::env::var_os("PATH").unwrap_or_default();
        let bin = versions
            .into_iter()
            .rev()
            .map(|(_, bin)| bin)
            .chain(std::env::split_paths(&path))
            .find(|bin| bin.join("initdb").is_file() && bin.join("postgres").is_file())
            .context("PostgreSQL is not installed; run deploy/install-packages.sh postgresql")?;
        Ok(Self { bin, as_root: rustix::process::geteuid().is_root() })
    }

    fn command(&self, program: &str) -> Command {
        let program = self.bin.join(program);
        let mut command = Command::new("setpriv");
        if self.as_root {
            command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups", "--"]).arg(program);
        } else {
            command = Command::new(program);
        }
        command.current_dir("/");
        command
    }
}

fn run(command: &mut Command) -> anyhow::Result<()> {
    let done = command.output().with_context(|| format!("could not run {command:?}"))?;
    if !done.status.success() {
        bail!("{command:?} failed: {}", String::from_utf8_lossy(&done.stderr));
    }
    Ok(())
}
