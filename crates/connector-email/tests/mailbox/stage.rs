//! What every story needs: doors with memory behind them, and a source in front.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use connector::secret::Secret;
use connector::testing::MemoryIntake;
use connector::{CursorError, Cursors, Intake, IntakeError, Mark, Supervisor, TaskState};
use connector_email::testing::Dovecot;
use connector_email::{Config, Doors, Source, connect};
use contact::{Content, Event, RawBytes};
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Far above what anything takes, on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(100);

pub(crate) fn now() -> Timestamp {
    "2025-03-03T11:00:00.123456Z".parse().unwrap()
}

/// A small mail.
pub(crate) fn mail(subject: &str) -> Vec<u8> {
    format!(
        "Message-ID: <{subject}@client.example>\r\nFrom: Olena <olena@client.example>\r\n\
         To: support@desk.example\r\nSubject: {subject}\r\n\r\nThe words of {subject}.\r\n"
    )
    .into_bytes()
}

pub(crate) fn subjects(accepted: &[(Event, RawBytes)]) -> Vec<String> {
    accepted
        .iter()
        .map(|(event, _)| match &event.content {
            Content::Email(email) => email.subject.clone(),
            Content::Unreadable(why) => format!("unreadable: {}", why.reason),
            other => panic!("a mail became {other:?}"),
        })
        .collect()
}

/// Waits until it is so.
pub(crate) async fn eventually(what: &str, mut so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !so() {
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Doors and what is behind them.
pub(crate) struct Stage {
    pub(crate) live: Arc<Gate>,
    pub(crate) imports: Arc<Gate>,
    pub(crate) cursors: Arc<MemoryCursors>,
}

impl Stage {
    pub(crate) fn new() -> Self {
        Self { live: Arc::default(), imports: Arc::default(), cursors: Arc::default() }
    }

    /// The same mailbox and cursors, with an intake of its own: another copy of the connector.
    pub(crate) fn beside(&self) -> Self {
        Self { cursors: Arc::clone(&self.cursors), ..Self::new() }
    }

    pub(crate) fn doors(&self) -> Doors {
        Doors::new(self.live.clone(), self.imports.clone(), self.cursors.clone(), Arc::new(now))
    }

    /// `[email.support]` with everybody's password.
    pub(crate) fn source(&self, url: &str, dovecot: &Dovecot, change: impl FnOnce(&mut Config)) -> Source {
        let mut config = Config {
            address: Some("support@desk.example".to_owned()),
            imap: Some(url.to_owned()),
            password: Some(Secret::new(dovecot.password())),
            ca_file: Some(dovecot.ca_file().unwrap()),
            ..Config::default()
        };
        change(&mut config);
        config.check("support").unwrap()
    }

    /// Starts the connector as the binary does.
    pub(crate) fn start(&self, source: &Source) -> Running {
        let sources = [(source.name().clone(), source.clone())].into();
        let connector = connect(&sources, &self.doors()).unwrap();
        let running = Running {
            supervisor: Supervisor::default(),
            tracker: TaskTracker::new(),
            stop: CancellationToken::new(),
        };
        for task in connector.tasks {
            running.supervisor.watch(task, &running.tracker, running.stop.clone());
        }
        running
    }

    /// One run of the task, and why it ended.
    pub(crate) async fn refused(&self, source: &Source) -> String {
        let sources = [(source.name().clone(), source.clone())].into();
        let task = connect(&sources, &self.doors()).unwrap().tasks.remove(0);
        let ended = tokio::time::timeout(PATIENCE, (task.run)()).await.expect("it goes on");
        ended.unwrap_err().to_string()
    }

    /// Waits for the first start to be over.
    pub(crate) async fn begun(&self) {
        eventually("the first start", || !self.cursors.history().is_empty()).await;
    }
}

/// A connector that runs until it is stopped or dropped.
pub(crate) struct Running {
    supervisor: Supervisor,
    tracker: TaskTracker,
    stop: CancellationToken,
}

impl Running {
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        self.tracker.close();
        self.tracker.wait().await;
    }

    /// Why its task waits to be started again, when it does.
    pub(crate) fn trouble(&self) -> Option<String> {
        match self.supervisor.states().remove("email/support") {
            Some(TaskState::Waiting { reason }) => Some(reason),
            _ => None,
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// An intake that can be shut.
#[derive(Default)]
pub(crate) struct Gate {
    inner: MemoryIntake,
    accepted: AtomicUsize,
    refused: AtomicUsize,
    shut: Mutex<Option<IntakeError>>,
}

impl Gate {
    pub(crate) fn shut(&self) {
        *self.shut.lock().unwrap() = Some(IntakeError::Full { retry_after: Duration::from_millis(10) });
    }

    pub(crate) fn open(&self) {
        *self.shut.lock().unwrap() = None;
    }

    pub(crate) fn accepted(&self) -> Vec<(Event, RawBytes)> {
        self.inner.accepted()
    }

    pub(crate) fn count(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }

    pub(crate) fn refused(&self) -> usize {
        self.refused.load(Ordering::SeqCst)
    }

    pub(crate) async fn reaches(&self, many: usize) {
        let (mut count, mut deadline) = (self.count(), Instant::now() + PATIENCE);
        while count < many {
            assert!(Instant::now() < deadline, "accepted {count} of {many}");
            tokio::time::sleep(Duration::from_millis(10)).await;
            if self.count() > count {
                // Ten thousand take their time.
                (count, deadline) = (self.count(), Instant::now() + PATIENCE);
            }
        }
    }
}

#[async_trait]
impl Intake for Gate {
    async fn accept(&self, event: Event, raw: RawBytes) -> Result<(), IntakeError> {
        let shut = self.shut.lock().unwrap().clone();
        if let Some(refusal) = shut {
            self.refused.fetch_add(1, Ordering::SeqCst);
            return Err(refusal);
        }
        self.inner.accept(event, raw).await?;
        // Others come in between, as at a journal that flushes.
        tokio::task::yield_now().await;
        self.accepted.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }
}

/// Cursors in memory, which may be away, and remember every move.
#[derive(Default)]
pub(crate) struct MemoryCursors {
    history: Mutex<Vec<Mark>>,
    away: Mutex<bool>,
    lost_races: AtomicUsize,
}

impl MemoryCursors {
    pub(crate) fn history(&self) -> Vec<Mark> {
        self.history.lock().unwrap().clone()
    }

    /// The next UID, as it is kept now.
    pub(crate) fn next(&self) -> Option<u64> {
        self.history().last().map(next)
    }

    pub(crate) fn lost_races(&self) -> usize {
        self.lost_races.load(Ordering::SeqCst)
    }

    pub(crate) fn set_away(&self, away: bool) {
        *self.away.lock().unwrap() = away;
    }

    fn here(&self) -> Result<(), CursorError> {
        if *self.away.lock().unwrap() { Err(CursorError::Away("no broker".to_owned())) } else { Ok(()) }
    }
}

/// The next UID in a mark.
pub(crate) fn next(mark: &Mark) -> u64 {
    serde_json::from_str::<serde_json::Value>(&mark.value).unwrap()["next"].as_u64().unwrap()
}

#[async_trait]
impl Cursors for MemoryCursors {
    async fn get(&self, name: &str) -> Result<Option<Mark>, CursorError> {
        assert_eq!(name, "email/support");
        self.here()?;
        Ok(self.history().pop())
    }

    async fn advance(&self, name: &str, from: Option<u64>, value: &str) -> Result<u64, CursorError> {
        assert_eq!(name, "email/support");
        self.here()?;
        let mut history = self.history.lock().unwrap();
        if history.last().map(|mark| mark.revision) != from {
            self.lost_races.fetch_add(1, Ordering::SeqCst);
            return Err(CursorError::Moved);
        }
        let revision = history.len() as u64 + 1;
        history.push(Mark { value: value.to_owned(), revision });
        Ok(revision)
    }
}
