//! The child process and the thread that keeps it.
//!
//! A permanent thread, because Linux sends the parent-death signal when the *thread* that spawned
//! ends, and a thread of a runtime's pool may end at any time.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io::{self, BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions};
use tokio::sync::watch;
use tracing::{debug, error, info, warn};

use crate::backoff::Backoff;
use crate::names;
use crate::server::Launcher;
use crate::server::lock::Lock;

/// A child that ran this long was well: it is started again at once.
const WELL: Duration = Duration::from_secs(30);
/// A child that cannot write any more is ended so long after it said so, and again and again while the disk is
/// full: it would remember the error when there is room again, and refuse everything until somebody starts it anew.
const SICK: Duration = Duration::from_secs(10);
/// How long it may take to end by itself then.
const DYING: Duration = Duration::from_secs(10);
/// Lines of the child's that are kept to explain its end; older ones are only in the log.
const REMEMBERED: usize = 4;

/// What is known of the child.
#[derive(Clone, Debug, Default)]
pub(crate) struct State {
    pub(crate) pid: Option<u32>,
    /// How often it ended by itself.
    pub(crate) restarts: u64,
    /// What it said last before it ended.
    pub(crate) complaint: Option<String>,
    /// The thread has ended: no child, no lock.
    pub(crate) ended: bool,
}

/// Keeps one child running until asked to end.
pub(crate) struct Keeper {
    program: PathBuf,
    args: Vec<OsString>,
    launcher: Option<Launcher>,
    state: watch::Sender<State>,
    shared: Mutex<Shared>,
}

#[derive(Default)]
struct Shared {
    /// Set only while the process is not yet reaped, so that a signal never meets a stranger.
    child: Option<Pid>,
    ending: bool,
    /// Dropped to wake a thread that waits to start the next child.
    wake: Option<mpsc::Sender<()>>,
}

impl Keeper {
    /// Starts the thread, which takes the lock along and gives it up when it ends.
    pub(crate) fn start(
        program: PathBuf,
        args: Vec<OsString>,
        launcher: Option<Launcher>,
        lock: Lock,
    ) -> io::Result<(Arc<Self>, watch::Receiver<State>)> {
        let (state, receiver) = watch::channel(State::default());
        let (wake, woken) = mpsc::channel();
        let shared = Mutex::new(Shared { wake: Some(wake), ..Shared::default() });
        let keeper = Arc::new(Self { program, args, launcher, state, shared });
        let thread = Arc::clone(&keeper);
        std::thread::Builder::new().name("nats-server".to_owned()).spawn(move || {
            thread.keep(lock, &woken);
            thread.state.send_modify(|state| state.ended = true);
        })?;
        Ok((keeper, receiver))
    }

    /// SIGTERM to the child, if there is one, and no other after it.
    pub(crate) fn ask_to_end(&self) {
        let mut shared = self.shared();
        shared.ending = true;
        shared.wake = None;
        signal(&shared, Signal::TERM);
    }

    /// SIGKILL to the child, if there is one.
    pub(crate) fn kill(&self) {
        signal(&self.shared(), Signal::KILL);
    }

    fn keep(&self, mut lock: Lock, woken: &mpsc::Receiver<()>) {
        let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(5));
        while !self.shared().ending {
            let since = Instant::now();
            let end = match self.spawn(&lock) {
                Ok(child) => self.attend(child, &mut lock),
                Err(cause) => format!("it could not be started: {cause}"),
            };
            if self.shared().ending {
                break;
            }
            if since.elapsed() >= WELL {
                backoff.reset();
            }
            error!("nats-server ended and is started again: {end}");
            metrics::counter!(names::SERVER_RESTARTS).increment(1);
            self.state.send_modify(|state| {
                state.restarts += 1;
                state.complaint = Some(end);
            });
            // Ends early, with a disconnect, when we are asked to end.
            if woken.recv_timeout(backoff.wait()) == Err(mpsc::RecvTimeoutError::Disconnected) {
                break;
            }
        }
    }

    fn spawn(&self, lock: &Lock) -> io::Result<Child> {
        let mut command = match &self.launcher {
            None => Command::new(&self.program),
            Some(launcher) => {
                let mut command = Command::new(&launcher.program);
                command.args(&launcher.args).arg(std::process::id().to_string()).arg(&self.program);
                command
            }
        };
        command
            .args(&self.args)
            // nats-server reads nothing; its standard input is the copy of the lock it holds.
            .stdin(Stdio::from(lock.share()?))
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            // Ctrl-C in a terminal must not stop the bus before us.
            .process_group(0)
            .spawn()
    }

    /// Until the child has ended; returns how.
    fn attend(&self, mut child: Child, lock: &mut Lock) -> String {
        let pid = child.id();
        let id = i32::try_from(pid).ok().and_then(Pid::from_raw);
        {
            let mut shared = self.shared();
            shared.child = id;
            if shared.ending {
                signal(&shared, Signal::TERM);
            }
        }
        if let Err(cause) = lock.write(Some(pid)) {
            warn!("could not note the process of nats-server in its lock: {cause}");
        }
        self.state.send_modify(|state| state.pid = Some(pid));
        let stderr = child.stderr.take();
        let said = std::thread::scope(|scope| {
            let (sick, heard) = mpsc::channel();
            scope.spawn(move || self.put_down(&heard));
            stderr.map(|stderr| relog(stderr, sick)).unwrap_or_default()
        });
        // Its standard error is closed, so it is ending; it stays a zombie until nobody can signal it.
        if let Some(id) = id
            && let Err(cause) = rustix::io::retry_on_intr(|| {
                rustix::process::waitid(WaitId::Pid(id), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT)
            })
        {
            warn!("could not wait for nats-server: {cause}");
        }
        self.shared().child = None;
        self.state.send_modify(|state| state.pid = None);
        let status = match child.wait() {
            Ok(status) => status.to_string(),
            Err(cause) => cause.to_string(),
        };
        match said.is_empty() {
            true => status,
            false => format!("{status}; it said: {}", said.join(" / ")),
        }
    }

    /// Ends a child that says it is sick. `heard` is disconnected when it has ended by itself.
    fn put_down(&self, heard: &mpsc::Receiver<()>) {
        if heard.recv().is_err() {
            return;
        }
        for (patience, last) in [(SICK, Signal::TERM), (DYING, Signal::KILL)] {
            if heard.recv_timeout(patience) == Err(mpsc::RecvTimeoutError::Disconnected) {
                return;
            }
            warn!("nats-server cannot write any more and is made to start again");
            signal(&self.shared(), last);
        }
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn signal(shared: &Shared, signal: Signal) {
    if let Some(pid) = shared.child
        && let Err(cause) = rustix::process::kill_process(pid, signal)
    {
        warn!("could not signal nats-server: {cause}");
    }
}

/// Puts the child's log into ours until it closes it, and returns its last complaints. Always
/// read: a full pipe would stop the child. Tells `sick` once when it says that it cannot write.
fn relog(stderr: ChildStderr, sick: mpsc::Sender<()>) -> Vec<String> {
    let mut is_sick = false;
    let mut complaints = VecDeque::new();
    let mut lines = BufReader::new(stderr);
    let mut line = Vec::new();
    loop {
        line.clear();
        match lines.read_until(b'\n', &mut line) {
            Ok(0) => break,
            Ok(_) => {}
            Err(cause) => {
                warn!("could not read the log of nats-server: {cause}");
                break;
            }
        }
        let text = String::from_utf8_lossy(&line);
        let (level, text) = parse(text.trim_end());
        match level {
            Level::Debug => debug!(target: "nats-server", "{text}"),
            Level::Info => info!(target: "nats-server", "{text}"),
            Level::Warn => warn!(target: "nats-server", "{text}"),
        }
        if matches!(level, Level::Warn) {
            if cannot_write(text) && !is_sick {
                is_sick = true;
                // Nobody listens any more when it is being ended already.
                sick.send(()).ok();
            }
            if complaints.len() == REMEMBERED {
                complaints.pop_front();
            }
            complaints.push_back(text.to_owned());
        }
    }
    complaints.into()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Level {
    Debug,
    Info,
    Warn,
}

/// `[71] 2026/11/21 10:15:02.311000 [INF] Server is ready`: the level as ours, and the words. Its
/// informational chatter is our debug; what has no form (a panic) is a warning.
fn parse(line: &str) -> (Level, &str) {
    let marked =
        line.strip_prefix('[').and_then(|_| line.split_once(" [")).and_then(|(_, rest)| rest.split_once(']'));
    match marked.map(|(level, text)| (level, text.trim_start())) {
        // It lies in a file that we alone can read, and is new at every start.
        Some(("WRN", text)) if text.starts_with("Plaintext passwords detected") => (Level::Debug, text),
        Some((_, text @ "Server is ready")) => (Level::Info, text),
        Some(("INF" | "DBG" | "TRC", text)) => (Level::Debug, text),
        Some(("WRN" | "ERR" | "FTL", text)) => (Level::Warn, text),
        _ => (Level::Warn, line),
    }
}

/// `Filestore [CONTACTS] Critical write error: … no space left on device` stays until the next start (2.14 and
/// newer); `JetStream out of space, will be DISABLED` is how older ones said it, and it stays too.
fn cannot_write(text: &str) -> bool {
    text.contains("ritical write error") || text.contains("will be DISABLED")
}

/// Why [`exec_child`] returned.
#[derive(Debug, thiserror::Error)]
pub enum NotStarted {
    /// Not called by the keeper.
    #[error("expected the parent's process, a program and its arguments")]
    Arguments,
    /// The parent died before we could ask to be told.
    #[error("the parent has ended")]
    Orphan,
    /// The program could not become this process.
    #[error("could not run {}", .program.display())]
    Exec {
        /// Which.
        program: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
}

/// Becomes the child: what the [`Launcher`] does with the arguments it is given after its own.
///
/// Asks the system to end this process when the parent's thread ends, makes sure that it has not
/// ended before that, and replaces itself by the program. Returns only when that failed.
pub fn exec_child(args: &[OsString]) -> NotStarted {
    let [parent, program, rest @ ..] = args else { return NotStarted::Arguments };
    let Some(parent) = parent.to_str().and_then(|text| text.parse().ok()).and_then(Pid::from_raw) else {
        return NotStarted::Arguments;
    };
    #[cfg(target_os = "linux")]
    if let Err(cause) = rustix::process::set_parent_process_death_signal(Some(Signal::TERM)) {
        return NotStarted::Exec { program: program.into(), cause: cause.into() };
    }
    if rustix::process::getppid() != Some(parent) {
        return NotStarted::Orphan;
    }
    let cause = Command::new(program).args(rest).exec();
    NotStarted::Exec { program: program.into(), cause }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_childs_words_keep_their_weight() {
        assert_eq!(parse("[1] 2026/11/21 10:15:02.3 [INF] Listening"), (Level::Debug, "Listening"));
        assert_eq!(
            parse("[1] 2026/11/21 10:15:02.3 [INF] Server is ready"),
            (Level::Info, "Server is ready")
        );
        assert_eq!(
            parse("[1] 2026/11/21 10:15:02.3 [FTL] no disk [INF] x"),
            (Level::Warn, "no disk [INF] x")
        );
        assert_eq!(parse("[1] 2026/11/21 10:15:02.3 [INF]"), (Level::Debug, ""));
        assert_eq!(parse("panic: oh"), (Level::Warn, "panic: oh"));
    }

    #[test]
    fn a_child_that_cannot_write_is_known_by_its_words() {
        assert!(cannot_write("Filestore [CONTACTS] Critical write error: write x: no space left on device"));
        assert!(cannot_write("JetStream stream '$G > CONTACTS' critical write error: x"));
        assert!(cannot_write("JetStream out of File resources, will be DISABLED"));
        assert!(!cannot_write(
            "JetStream failed to store a msg on stream '$G > CONTACTS': maximum bytes exceeded"
        ));
    }

    #[test]
    fn only_the_keeper_may_call_the_launcher() {
        let args = |words: &[&str]| words.iter().map(OsString::from).collect::<Vec<_>>();
        assert!(matches!(exec_child(&args(&[])), NotStarted::Arguments));
        assert!(matches!(exec_child(&args(&["1"])), NotStarted::Arguments));
        assert!(matches!(exec_child(&args(&["x", "true"])), NotStarted::Arguments));
    }
}
