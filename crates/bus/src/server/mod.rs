//! The local nats-server: found, configured, started, restarted, and ended with us.
//!
//! One process owns a data folder at a time: a lock is held as long as *either* we or our child
//! lives, because two servers on one store would destroy it and do not notice each other.

mod child;
mod find;
mod lock;

use std::ffi::OsString;
use std::io::{self, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use tracing::{info, warn};

pub use child::{NotStarted, exec_child};
pub use find::{NotFound, Search};
pub use lock::LockError;

use crate::conn::Auth;
use child::{Keeper, State};

/// A cold start with a large store recovers it first.
const START: Duration = Duration::from_secs(30);
/// How long the child may take to end by itself.
const STOP: Duration = Duration::from_secs(10);
/// How long a predecessor, or its child, may take to let go of the folder.
const PREDECESSOR: Duration = Duration::from_secs(10);
/// A child that ends this often before it was ever ready will not become ready.
const FUTILE: u64 = 3;
const USER: &str = "frontdesk";
/// Below the range from which Linux takes ports for outgoing connections, so that none of those
/// takes ours while the child is restarted.
const PORTS: std::ops::Range<u16> = 20_000..32_000;

/// How to run the local server.
#[derive(Clone, Debug)]
pub struct Options {
    /// Its folder: store, configuration, lock. Made if missing, readable by us alone.
    pub dir: PathBuf,
    /// Where to look for nats-server.
    pub search: Search,
    /// How much the store may take on disk. At least [`reserved_bytes`](crate::topology::reserved_bytes).
    pub max_file_store: u64,
    /// Starts the child through this program, which must hand its arguments to [`exec_child`], so
    /// that the child ends when we are killed. Without it, it then lives on and keeps the lock.
    pub launcher: Option<Launcher>,
}

/// A program, and arguments that go before ours.
#[derive(Clone, Debug)]
pub struct Launcher {
    /// Usually our own executable.
    pub program: PathBuf,
    /// Usually the name of a hidden subcommand.
    pub args: Vec<OsString>,
}

/// The running server. Dropping it ends the child without waiting; [`stop`](Self::stop) waits.
pub struct Server {
    keeper: Arc<Keeper>,
    state: watch::Receiver<State>,
    port: u16,
    password: String,
}

/// Why there is no local server.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// None on this machine is good enough.
    #[error(transparent)]
    NotFound(#[from] NotFound),
    /// The folder belongs to somebody else.
    #[error(transparent)]
    Locked(#[from] LockError),
    /// The folder could not be prepared.
    #[error("could not {doing} {}", .path.display())]
    Folder {
        /// What we were doing.
        doing: &'static str,
        /// To which file.
        path: PathBuf,
        /// What went wrong.
        #[source]
        cause: io::Error,
    },
    /// No port, no random bytes, no thread.
    #[error("could not {doing} for nats-server: {cause}")]
    System {
        /// What we were doing.
        doing: &'static str,
        /// What went wrong.
        cause: String,
    },
    /// It was started and did not become usable.
    #[error("nats-server ({}) did not become ready: {last}", .program.display())]
    NotReady {
        /// Which one.
        program: PathBuf,
        /// What it, or the last attempt to use it, said.
        last: String,
    },
}

impl Server {
    /// Finds, configures and starts nats-server, and returns when it can be used. It is started
    /// again, on the same port, whenever it ends, until [`stop`](Self::stop).
    pub async fn start(options: Options) -> Result<Self, ServerError> {
        let (program, version) = options.search.find().await?;
        let dir = absolute(&options.dir)?;
        make_private(&dir)?;
        let lock = lock::take(&dir.join("lock"), PREDECESSOR).await?;
        let port = free_port(&dir.join("port"))?;
        let password = random_password()?;
        let conf = dir.join("nats.conf");
        write_private(&conf, &configuration(&dir, port, &password, options.max_file_store))?;

        let args = vec![OsString::from("-c"), conf.into_os_string()];
        let (keeper, state) = Keeper::start(program.clone(), args, options.launcher, lock)
            .map_err(|cause| ServerError::System { doing: "start a thread", cause: cause.to_string() })?;
        let server = Self { keeper, state, port, password };
        server.ready(&program).await?;
        info!(server.pid = server.pid(), server.port = port, "nats-server {version} is ready");
        Ok(server)
    }

    /// Where it listens; the same for its whole life.
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// Who may use it.
    pub fn credentials(&self) -> Auth {
        Auth::User { name: USER.to_owned(), password: self.password.clone() }
    }

    /// The child's process, if it runs at this moment.
    pub fn pid(&self) -> Option<u32> {
        self.state.borrow().pid
    }

    /// How often it ended by itself and was started again.
    pub fn restarts(&self) -> u64 {
        self.state.borrow().restarts
    }

    /// Ends the child: SIGTERM, 10 s, SIGKILL. Returns when it is gone and the folder is free.
    pub async fn stop(&self) {
        self.keeper.ask_to_end();
        let mut state = self.state.clone();
        let ended = state.wait_for(|state| state.ended);
        let in_time = tokio::time::timeout(STOP, ended).await.is_ok();
        if !in_time {
            warn!("nats-server did not end within {} s and is killed", STOP.as_secs());
            self.keeper.kill();
            let mut state = self.state.clone();
            if state.wait_for(|state| state.ended).await.is_err() {
                warn!("the thread that kept nats-server is gone");
            }
        }
    }

    async fn ready(&self, program: &Path) -> Result<(), ServerError> {
        let deadline = Instant::now() + START;
        let mut last = String::new();
        while Instant::now() < deadline {
            match self.try_client().await {
                Ok(()) => return Ok(()),
                Err(error) => last = error,
            }
            let state = self.state.borrow().clone();
            if state.restarts >= FUTILE {
                last = state.complaint.unwrap_or(last);
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        self.stop().await;
        Err(ServerError::NotReady { program: program.to_owned(), last })
    }

    /// Whether it lets us in. Another server on our port would not.
    async fn try_client(&self) -> Result<(), String> {
        let connect =
            async_nats::ConnectOptions::with_user_and_password(USER.to_owned(), self.password.clone())
                .connection_timeout(Duration::from_secs(1))
                .connect(self.url());
        let client = connect.await.map_err(|error| error.to_string())?;
        if client.server_info().jetstream { Ok(()) } else { Err("it has no JetStream yet".to_owned()) }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.keeper.ask_to_end();
    }
}

fn configuration(dir: &Path, port: u16, password: &str, max_file_store: u64) -> String {
    let store = quoted(&dir.join("js").to_string_lossy());
    format!(
        "# Written at every start of Frontdesk; changes here are lost.
server_name: \"frontdesk\"
listen: \"127.0.0.1:{port}\"
max_payload: 1MB
authorization {{ user: \"{USER}\", password: \"{password}\" }}
# Flushing is the journal's work, so the store keeps its default interval.
jetstream {{ store_dir: {store}, max_file_store: {max_file_store}, max_memory_store: 67108864 }}
"
    )
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

fn absolute(dir: &Path) -> Result<PathBuf, ServerError> {
    std::path::absolute(dir).map_err(folder("resolve", dir))
}

fn make_private(dir: &Path) -> Result<(), ServerError> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(folder("create", dir))
}

/// Replaces a file by one that only we can read.
fn write_private(path: &Path, text: &str) -> Result<(), ServerError> {
    let new = path.with_extension("new");
    let write = || {
        match std::fs::remove_file(&new) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
        file.write_all(text.as_bytes())?;
        std::fs::rename(&new, path)
    };
    write().map_err(folder("write", path))
}

fn folder(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> ServerError {
    let path = path.to_owned();
    move |cause| ServerError::Folder { doing, path, cause }
}

/// The port of the last run if it is still free, so that what was told about it stays true.
fn free_port(remembered: &Path) -> Result<u16, ServerError> {
    let is_free = |port: &u16| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok();
    let last = std::fs::read_to_string(remembered).ok().and_then(|text| text.trim().parse().ok());
    if let Some(port) = last.filter(is_free) {
        return Ok(port);
    }
    for _ in 0..100 {
        let [high, low] = random()?;
        let port = PORTS.start + u16::from_be_bytes([high, low]) % (PORTS.end - PORTS.start);
        if is_free(&port) {
            write_private(remembered, &format!("{port}\n"))?;
            return Ok(port);
        }
    }
    let cause = format!("none of a hundred between {} and {} was free", PORTS.start, PORTS.end);
    Err(ServerError::System { doing: "find a port", cause })
}

fn random_password() -> Result<String, ServerError> {
    let bytes: [u8; 24] = random()?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn random<const N: usize>() -> Result<[u8; N], ServerError> {
    let mut bytes = [0; N];
    #[expect(clippy::disallowed_methods, reason = "for the child's port and password")]
    getrandom::fill(&mut bytes)
        .map_err(|cause| ServerError::System { doing: "get random bytes", cause: cause.to_string() })?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_with_quotes_stays_one_string() {
        let text = configuration(Path::new("/tmp/a \"b\"\\c"), 4222, "pw", 7);
        assert!(text.contains(r#"store_dir: "/tmp/a \"b\"\\c/js", max_file_store: 7"#), "{text}");
    }

    #[test]
    fn the_port_is_remembered_unless_it_is_taken() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("port");
        let first = free_port(&file).unwrap();
        assert!(PORTS.contains(&first));
        assert_eq!(free_port(&file).unwrap(), first);
        let _taken = TcpListener::bind((Ipv4Addr::LOCALHOST, first)).unwrap();
        assert_ne!(free_port(&file).unwrap(), first);
    }
}
