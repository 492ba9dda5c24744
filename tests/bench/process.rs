//! Processes we start: each ends with us, and only those end.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use rustix::process::{Pid, Signal, kill_process};
use tests::ports::Port;

/// How long anything may take that is not measured.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// A running child; dropped, it is killed.
pub(crate) struct Process {
    child: Child,
    name: &'static str,
    log: PathBuf,
}

impl Process {
    /// Starts it with its output in `<folder>/<name>.log`.
    pub(crate) fn start(name: &'static str, command: &mut Command, folder: &Path) -> anyhow::Result<Self> {
        let log = folder.join(format!("{name}.log"));
        let file =
            File::options().create(true).append(true).open(&log).context("could not make a log file")?;
        let child = command
            .stdin(Stdio::null())
            .stdout(file.try_clone().context("could not share a log file")?)
            .stderr(file)
            .spawn()
            .with_context(|| format!("could not start {name}"))?;
        Ok(Self { child, name, log })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Fails with the end of its log when it has ended.
    pub(crate) fn check(&mut self) -> anyhow::Result<()> {
        let Some(status) = self.child.try_wait().context("could not ask for a child")? else { return Ok(()) };
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let last: Vec<&str> = log.lines().rev().take(12).collect();
        bail!("{} ended with {status}:\n{}", self.name, last.into_iter().rev().collect::<Vec<_>>().join("\n"))
    }

    /// Asks it to end and waits.
    pub(crate) fn stop(mut self) -> anyhow::Result<()> {
        self.signal(Signal::TERM)?;
        let deadline = Instant::now() + Duration::from_secs(60);
        while self.child.try_wait().context("could not ask for a child")?.is_none() {
            if Instant::now() > deadline {
                bail!("{} did not end within a minute", self.name);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        let pid =
            i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).context("a pid out of range")?;
        kill_process(pid, signal).with_context(|| format!("could not signal {}", self.name))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // One that has ended already cannot be killed, which is as well.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A nats-server of our own, for the hand-made lines.
pub(crate) struct Nats {
    pub(crate) process: Process,
    pub(crate) url: String,
}

impl Nats {
    pub(crate) async fn start(folder: &Path) -> anyhow::Result<Self> {
        let addr = free_addr();
        let config = format!(
            "host: 127.0.0.1\nport: {}\njetstream {{ store_dir: \"{}\" }}\n",
            addr.port(),
            folder.join("nats").display()
        );
        let path = folder.join("nats.conf");
        std::fs::write(&path, config).context("could not write nats.conf")?;
        let mut process = Process::start("nats", Command::new(nats_server()?).arg("-c").arg(path), folder)?;
        answering(addr, &mut process).await?;
        Ok(Self { process, url: format!("nats://{addr}") })
    }
}

/// As the product looks for it: in `.tools/bin` above us and above the current folder, then on PATH.
fn nats_server() -> anyhow::Result<PathBuf> {
    let beside = std::env::current_exe().context("could not find our own program")?;
    let current = std::env::current_dir().context("could not find the current folder")?;
    let tools = beside.ancestors().chain(current.ancestors()).map(|folder| folder.join(".tools/bin"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    tools
        .chain(std::env::split_paths(&path))
        .map(|folder| folder.join("nats-server"))
        .find(|file| file.is_file())
        .context("there is no nats-server; run deploy/install-nats.sh")
}

/// A port that is ours until the benchmark ends.
pub(crate) fn free_addr() -> SocketAddr {
    let port = Port::free();
    let addr = (Ipv4Addr::LOCALHOST, port.number()).into();
    // Its claim is a file that is open.
    std::mem::forget(port);
    addr
}

/// Waits until somebody listens there.
pub(crate) async fn answering(addr: SocketAddr, process: &mut Process) -> anyhow::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while tokio::net::TcpStream::connect(addr).await.is_err() {
        process.check()?;
        if Instant::now() > deadline {
            bail!("nobody listens on {addr}");
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(())
}
