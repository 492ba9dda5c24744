//! A nats-server outside, as split roles have it: killed, stopped, and set back to what it was.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::Signal;
use tempfile::TempDir;
use tokio::net::TcpStream;

use crate::ports::Port;
use crate::process::{clear_away, ended, freeze, signal_to};
use crate::wait::{PATIENCE, eventually};

/// A real nats-server with JetStream on a port of its own.
#[derive(Debug)]
pub struct Nats {
    folder: TempDir,
    port: Port,
    child: Option<Child>,
}

impl Nats {
    /// Starts one in an empty folder.
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().expect("could not make a folder");
        let mut nats = Self { folder, port: Port::free(), child: None };
        nats.up().await;
        nats
    }

    /// Where it listens; the same for its whole life.
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port.number())
    }

    /// A folder for what those who use it share.
    pub fn shared_folder(&self) -> PathBuf {
        self.folder.path().join("shared")
    }

    /// Starts it again where it was.
    ///
    /// # Panics
    /// When it runs, or does not start.
    pub async fn up(&mut self) {
        assert!(self.child.is_none(), "nats-server runs already");
        let conf = self.folder.path().join("nats.conf");
        let text = format!(
            "listen: \"127.0.0.1:{}\"\nmax_payload: 1MB\njetstream {{ store_dir: \"{}\", max_file_store: 4GB }}\n",
            self.port.number(),
            self.store().display()
        );
        fs::write(&conf, text).expect("could not write nats.conf");
        let log = fs::File::options()
            .create(true)
            .append(true)
            .open(self.folder.path().join("log"))
            .expect("could not open the log of nats-server");
        let mut child = Command::new(program())
            .arg("-c")
            .arg(&conf)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("could not start nats-server");
        let address = format!("127.0.0.1:{}", self.port.number());
        eventually("nats-server listens", PATIENCE, async || {
            if let Ok(Some(status)) = child.try_wait() {
                panic!("nats-server ended with {status}: {}", self.log());
            }
            TcpStream::connect(&address).await.map(drop)
        })
        .await;
        self.child = Some(child);
    }

    /// As the power goes.
    pub async fn kill9(&mut self) {
        self.end(Signal::KILL).await;
    }

    /// In good order.
    pub async fn stop(&mut self) {
        self.end(Signal::TERM).await;
    }

    async fn end(&mut self, signal: Signal) {
        let mut child = self.child.take().expect("nats-server runs");
        signal_to(child.id(), signal);
        ended(&mut child, PATIENCE).await;
    }

    /// Stands still: its connections stay and nothing is answered.
    pub fn freeze(&self) {
        freeze(self.child.as_ref().expect("nats-server runs").id());
    }

    /// A copy of everything it keeps. It must not run.
    pub fn copy(&self) -> TempDir {
        assert!(self.child.is_none(), "a copy of a running store is none");
        let copy = tempfile::tempdir().expect("could not make a folder");
        copy_folder(&self.store(), &copy.path().join("js"));
        copy
    }

    /// Forgets everything since the copy was made. It must not run.
    pub fn set_back(&self, copy: &TempDir) {
        assert!(self.child.is_none(), "a running store cannot be set back");
        fs::remove_dir_all(self.store()).expect("could not remove the store of nats-server");
        copy_folder(&copy.path().join("js"), &self.store());
    }

    fn store(&self) -> PathBuf {
        self.folder.path().join("js")
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Nats {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            clear_away(child);
        }
    }
}

/// The nats-server that the quickstart puts beside the sources, else the one on PATH.
fn program() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the package has a parent folder");
    let ours = root.join(".tools/bin/nats-server");
    if ours.exists() { ours } else { PathBuf::from("nats-server") }
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("could not make a folder");
    for entry in fs::read_dir(from).expect("could not read a folder") {
        let entry = entry.expect("could not read a folder");
        let target = to.join(entry.file_name());
        if entry.file_type().expect("could not ask what a file is").is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("could not copy a file");
        }
    }
}
