//! Throwaway PostgreSQL servers for tests: of one's own, to be killed and started again.
//!
//! A server lives in a folder of its own under the system's temporary folder, listens on a free
//! loopback port, and never outlives the process that started it, however that ends: a watcher holds
//! the other end of a pipe. Its flushes are off; a kill loses nothing, a power cut would.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::io;
use std::net::TcpListener;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long a server may take to start; the tests of a busy machine start many at once.
const START: Duration = Duration::from_secs(60);
/// Between two looks at whether it has.
const LOOK: Duration = Duration::from_millis(10);
/// The one role, with every right and no password.
const ROLE: &str = "frontdesk";

/// A running (or killed) server.
pub struct Postgres {
    tools: Tools,
    folder: PathBuf,
    port: u16,
    server: Mutex<Child>,
    /// Stops the server and removes the folder when its standard input ends.
    watcher: Mutex<Child>,
}

impl Postgres {
    /// A server, or `None` with a line that says so where PostgreSQL is not installed. Where `CI` or
    /// `FRONTDESK_REQUIRE_POSTGRES` is set its absence is a failure: nothing passes silently there.
    pub fn start_or_skip() -> Option<Self> {
        if Tools::find().is_none() {
            assert!(
                !(is_set("CI") || is_set("FRONTDESK_REQUIRE_POSTGRES")),
                "PostgreSQL is not installed, and CI or FRONTDESK_REQUIRE_POSTGRES asks for it"
            );
            say("skipped: PostgreSQL is not installed (install the package `postgresql`)");
            return None;
        }
        match Self::start() {
            Ok(server) => Some(server),
            Err(error) => panic!("could not start a throwaway PostgreSQL: {error}"),
        }
    }

    /// Starts one and waits until it answers.
    pub fn start() -> io::Result<Self> {
        let tools = Tools::find().ok_or_else(|| other("PostgreSQL is not installed"))?;
        let template = tools.template()?;
        let folder = fresh_folder("frontdesk-pg");
        std::fs::create_dir_all(&folder)?;
        // From here on the folder is somebody's to remove.
        let watcher = watch(&folder)?;
        run(Command::new("cp").arg("-R").arg(&template).arg(folder.join("data")))?;
        tools.give_to_server(&folder)?;
        let mut tries = 0;
        let (port, server) = loop {
            let port = free_port()?;
            match tools.serve(&folder, port) {
                Ok(server) => break (port, server),
                // Somebody else took the port in between.
                Err(_) if tries < 4 => tries += 1,
                Err(error) => return Err(error),
            }
        };
        Ok(Self { tools, folder, port, server: Mutex::new(server), watcher: Mutex::new(watcher) })
    }

    /// Of the database that is always there.
    pub fn url(&self) -> String {
        self.url_of("postgres")
    }

    /// Of a database made by [`Postgres::create`].
    pub fn url_of(&self, database: &str) -> String {
        format!("postgres://{ROLE}@127.0.0.1:{}/{database}", self.port)
    }

    /// Makes an empty database and gives its url.
    pub fn create(&self, database: &str) -> io::Result<String> {
        let mut create = self.tools.command("createdb");
        run(create.args(["-h", "127.0.0.1", "-U", ROLE, "-p"]).arg(self.port.to_string()).arg(database))?;
        Ok(self.url_of(database))
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Of the server's main process.
    pub fn pid(&self) -> u32 {
        locked(&self.server).id()
    }

    /// Kills it as a crash of the machine would: every process of it, at once and unasked.
    pub fn kill9(&self) -> io::Result<()> {
        let mut server = locked(&self.server);
        // Left alone, a child would still finish the commit it is asked for.
        let children =
            output(Command::new("ps").args(["-o", "pid=", "--ppid"]).arg(server.id().to_string()))?;
        server.kill()?;
        for child in children.split_whitespace() {
            // One that ended by itself meanwhile is as good.
            run(Command::new("kill").args(["-KILL", child])).ok();
        }
        server.wait().map(|_| ())
    }

    /// Stops it if it runs, and starts it again on the same data and port.
    pub fn restart(&self) -> io::Result<()> {
        let mut server = locked(&self.server);
        if server.try_wait()?.is_none() {
            // A fast shutdown: open transactions are undone, everybody is disconnected.
            run(Command::new("kill").arg("-INT").arg(server.id().to_string()))?;
            server.wait()?;
        }
        // After a kill the children of the old server may need a moment to notice.
        let deadline = Instant::now() + START;
        *server = loop {
            match self.tools.serve(&self.folder, self.port) {
                Ok(started) => break started,
                Err(error) if Instant::now() > deadline => return Err(error),
                Err(_) => std::thread::sleep(LOOK),
            }
        };
        Ok(())
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let mut watcher = locked(&self.watcher);
        // The end of its input tells it.
        drop(watcher.stdin.take());
        watcher.wait().ok();
        locked(&self.server).wait().ok();
    }
}

/// Where the programs are, and as whom they run.
struct Tools {
    bin: PathBuf,
    /// PostgreSQL refuses to run as root; then it runs as the user `postgres`.
    as_root: bool,
}

impl Tools {
    /// The newest version under Debian's folder, else what is in PATH.
    fn find() -> Option<Self> {
        let debian = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
        let mut versions: Vec<(u32, PathBuf)> = debian
            .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
            .collect();
        versions.sort_unstable();
        let path = variable("PATH").unwrap_or_default();
        let bin = versions
            .into_iter()
            .rev()
            .map(|(_, bin)| bin)
            .chain(std::env::split_paths(&path))
            .find(|bin| bin.join("initdb").is_file() && bin.join("postgres").is_file())?;
        let as_root = Command::new("id").arg("-u").output().is_ok_and(|id| id.stdout == b"0\n");
        Some(Self { bin, as_root })
    }

    fn command(&self, program: &str) -> Command {
        let program = self.bin.join(program);
        let mut command = if self.as_root {
            let mut command = Command::new("setpriv");
            command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups", "--"]).arg(program);
            command
        } else {
            Command::new(program)
        };
        command.current_dir("/");
        command
    }

    fn give_to_server(&self, folder: &Path) -> io::Result<()> {
        if self.as_root {
            run(Command::new("chown").arg("-R").arg("postgres:").arg(folder))?;
        }
        run(Command::new("chmod").arg("700").arg(folder))
    }

    /// A folder made by `initdb` once for each version; to be copied.
    fn template(&self) -> io::Result<PathBuf> {
        let version = output(Command::new(self.bin.join("postgres")).arg("--version"))?;
        let version: String =
            version.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
        let user = if self.as_root { "root" } else { "own" };
        let version = version.trim_matches('-').to_lowercase();
        let template = std::env::temp_dir().join(format!("frontdesk-pg-template-{version}-{user}-1"));
        if template.join("PG_VERSION").is_file() {
            return Ok(template);
        }
        let making = fresh_folder("frontdesk-pg-making");
        std::fs::create_dir_all(&making)?;
        self.give_to_server(&making)?;
        let data = making.join("data");
        run(self.command("initdb").arg("-D").arg(&data).args([
            "-U",
            ROLE,
            "--auth=trust",
            "-E",
            "UTF8",
            "--locale=C.UTF-8",
            "--no-sync",
            "--wal-segsize=1",
        ]))?;
        // Whoever comes second finds the name taken and throws its own away.
        let made = std::fs::rename(&data, &template);
        std::fs::remove_dir_all(&making)?;
        if template.join("PG_VERSION").is_file() { Ok(template) } else { made.map(|()| template) }
    }

    /// Starts the server over a folder and waits until it answers; fails when it ends instead.
    fn serve(&self, folder: &Path, port: u16) -> io::Result<Child> {
        let log_path = folder.join("log");
        let log = std::fs::File::create(&log_path)?;
        let socket = format!("unix_socket_directories={}", folder.display());
        let port = port.to_string();
        let mut server = self
            .command("postgres")
            .arg("-D")
            .arg(folder.join("data"))
            .args(["-p", &port, "-c", "listen_addresses=127.0.0.1", "-c", &socket])
            .args(["-c", "fsync=off", "-c", "full_page_writes=off", "-c", "shared_buffers=32MB"])
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            // An interrupt of the tests is not for it; the watcher stops it.
            .process_group(0)
            .spawn()?;
        let deadline = Instant::now() + START;
        loop {
            if server.try_wait()?.is_some() {
                return Err(other(&std::fs::read_to_string(&log_path)?));
            }
            if is_ready(folder, server.id()) {
                return Ok(server);
            }
            if Instant::now() > deadline {
                server.kill()?;
                server.wait()?;
                return Err(other("the server did not answer in time"));
            }
            std::thread::sleep(LOOK);
        }
    }
}

/// Whether this very server answers: another one may have taken its port. It says so in the last line of its
/// lock file, of which the first is its number.
fn is_ready(folder: &Path, pid: u32) -> bool {
    let told = std::fs::read_to_string(folder.join("data/postmaster.pid")).unwrap_or_default();
    let mut lines = told.lines().map(str::trim);
    lines.next() == Some(pid.to_string().as_str()) && lines.next_back() == Some("ready")
}

/// A shell that does nothing until this process ends or asks it to.
fn watch(folder: &Path) -> io::Result<Child> {
    let script = r#"
        read -r line
        main=$(head -n 1 "$0/data/postmaster.pid" 2>/dev/null) && kill -QUIT "$main" 2>/dev/null
        while [ -n "$main" ] && kill -0 "$main" 2>/dev/null && [ "$(ps -o stat= -p "$main" | cut -c1)" != Z ]
        do sleep 0.02; done
        rm -rf "$0"
    "#;
    Command::new("sh")
        .arg("-c")
        .arg(script)
        .arg(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
}

fn fresh_folder(name: &str) -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let next = NEXT.fetch_add(1, Ordering::Relaxed);
    std::env::temp_dir().join(format!("{name}-{}-{next}", std::process::id()))
}

/// A port of the loopback nobody listens on now: below those that outgoing connections take, for one of them
/// could have it while a server is killed and started again.
fn free_port() -> io::Result<u16> {
    const PORTS: (u16, u16) = (10_000, 9_000);
    loop {
        let random = RandomState::new().build_hasher().finish();
        let port = PORTS.0 + u16::try_from(random % u64::from(PORTS.1)).map_err(io::Error::other)?;
        match TcpListener::bind(("127.0.0.1", port)) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
            bound => return bound.map(|_| port),
        }
    }
}

fn run(command: &mut Command) -> io::Result<()> {
    output(command).map(|_| ())
}

fn output(command: &mut Command) -> io::Result<String> {
    let done = command.stdin(Stdio::null()).output()?;
    if done.status.success() {
        Ok(String::from_utf8_lossy(&done.stdout).into_owned())
    } else {
        Err(other(&format!("{command:?} failed: {}", String::from_utf8_lossy(&done.stderr))))
    }
}

fn other(text: &str) -> io::Error {
    io::Error::other(text.to_owned())
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn is_set(name: &str) -> bool {
    variable(name).is_some_and(|value| !value.is_empty())
}

#[expect(clippy::disallowed_methods, reason = "how tests are run is told by the environment alone")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn say(line: &str) {
    eprintln!("{line}");
}
