//! Reads one mailbox: everything in it once, then whatever comes.
//!
//! The rule: a mail is fetched, read, handed over, and only when *all* of its batch are accepted the
//! cursor moves; only then is anything changed in the mailbox. So a crash at any moment repeats mails,
//! which is harmless, and loses none. IDLE is only a hint: after each of its ends, each reconnect, and as
//! often as configured, mails are asked for by UID from the cursor on.

mod fetch;
mod mark;

use std::collections::VecDeque;
use std::convert::Infallible;
use std::time::{Duration, Instant};

use contact::Content;
use tokio::sync::{Mutex, OwnedSemaphorePermit};
use tracing::{info, warn};

use crate::account::Account;
use crate::config::{After, Source};
use crate::cursor::{Lane, Position};
use crate::doors::Doors;
use crate::session::{Listed, Selected, Session, Woken};
use crate::take;
use crate::trouble::Trouble;
pub(crate) use fetch::BEGINNING;
use fetch::{Batch, Fetched, Fragile, Read};
use mark::Held;

/// An IDLE lasts no longer: servers end it after 30 minutes, some networks after ten.
const LONGEST_IDLE: Duration = Duration::from_secs(9 * 60);
/// After a refusal (a wrong password) nobody logs in again sooner: servers lock out who does.
const REFUSED: Duration = Duration::from_secs(30);
/// A session that worked and broke is followed by another after this long.
const RECONNECT: Duration = Duration::from_secs(1);
/// After so many IDLEs in a row that broke, IDLE is left alone: either the server or what lies between
/// does not understand it.
const MOST_BROKEN: u32 = 3;
/// Without IDLE a mailbox is looked into at least this often.
const LONGEST_POLL: Duration = Duration::from_secs(60);
/// How many mails are listed at a time.
const LIST: usize = 2000;

/// One mailbox and how far it was read. Survives its sessions.
pub(crate) struct Reader {
    source: Source,
    account: Account,
    doors: Doors,
    memory: Mutex<Memory>,
}

/// What is known across sessions.
#[derive(Default)]
struct Memory {
    held: Option<Held>,
    fragile: Option<Fragile>,
    /// The present session kept a mail, or found none.
    worked: bool,
    /// IDLEs in a row that broke.
    broken: u32,
    /// No login before.
    not_before: Option<Instant>,
}

impl Reader {
    /// `None` for a source without a mailbox.
    pub(crate) fn new(source: &Source, doors: &Doors) -> Option<Self> {
        Some(Self {
            source: source.clone(),
            account: source.account.clone()?,
            doors: doors.clone(),
            memory: Mutex::default(),
        })
    }

    /// Reads for ever. Dropping it ends the session at once.
    ///
    /// # Errors
    /// When no session could be had, or it broke before it had done anything. A session that breaks later
    /// is followed by another.
    pub(crate) async fn run(&self) -> Result<(), Trouble> {
        let mut memory = self.memory.lock().await;
        if let Some(moment) = memory.not_before.take() {
            tokio::time::sleep_until(moment.into()).await;
        }
        let up = Up::of(&self.source);
        loop {
            memory.worked = false;
            let trouble = match self.attend(&mut memory, &up).await {
                Ok(never) => match never {},
                Err(trouble) => trouble,
            };
            up.set(false);
            if matches!(trouble, Trouble::Refused(_)) {
                memory.not_before = Some(Instant::now() + REFUSED);
            }
            if !memory.worked || matches!(trouble, Trouble::Refused(_)) {
                return Err(trouble);
            }
            warn!(source = %self.source.name(), reason = %trouble, "opening the mailbox again");
            tokio::time::sleep(RECONNECT).await;
        }
    }

    /// One session, to its end.
    async fn attend(&self, memory: &mut Memory, up: &Up) -> Result<Infallible, Trouble> {
        let session = Session::open(self.source.name().as_str(), &self.account).await?;
        up.set(true);
        info!(source = %self.source.name(), "reading the mailbox");
        let mut selected_at = Instant::now();
        let selected = self.select(&session).await?;
        self.locate(&session, memory, selected).await?;
        loop {
            self.read_new(&session, memory).await?;
            memory.worked = true;
            let woken = self.wait(&session, memory).await?;
            // A mailbox that was made anew shows only when it is opened again.
            if woken == Woken::ByTime || selected_at.elapsed() > self.source.poll {
                selected_at = Instant::now();
                let selected = self.select(&session).await?;
                self.locate(&session, memory, selected).await?;
            }
        }
    }

    async fn select(&self, session: &Session) -> Result<Selected, Trouble> {
        session.select(&self.account.place.folder, self.source.after != After::Leave).await
    }

    async fn wait(&self, session: &Session, memory: &mut Memory) -> Result<Woken, Trouble> {
        if !session.can_idle() || memory.broken >= MOST_BROKEN {
            tokio::time::sleep(self.source.poll.min(LONGEST_POLL)).await;
            return Ok(Woken::ByTime);
        }
        let woken = session.idle(self.source.poll.min(LONGEST_IDLE)).await;
        memory.broken = if woken.is_err() { memory.broken + 1 } else { 0 };
        if memory.broken == MOST_BROKEN {
            warn!(source = %self.source.name(), "IDLE does not work with this server; the mailbox is polled");
        }
        woken
    }

    /// Everything from the cursor on. While one batch is handed over the next is fetched and read.
    async fn read_new(&self, session: &Session, memory: &mut Memory) -> Result<(), Trouble> {
        let position = memory.held()?.position.clone();
        let uids = search(session, &position, position.next, None).await?;
        let mut behind = Behind::new(&self.source, uids.len());
        for window in uids.chunks(LIST) {
            let listed = fetch::list(session, window, &mut memory.fragile).await?;
            let mut waiting: VecDeque<Batch> = fetch::batches(&listed, memory.fragile).into();
            let mut ahead: Option<Fetched> = None;
            loop {
                let fetched = match ahead.take() {
                    Some(fetched) => fetched,
                    None => {
                        let Some(batch) = waiting.pop_front() else { break };
                        let room = self.doors.room.wait(batch.bytes()).await;
                        let fetched = self.fetch(session, memory.fragile, &batch, room).await;
                        fetched.map_err(|trouble| memory.stumbled(&batch, trouble))?
                    }
                };
                // Only with room to spare: who waits for room while holding some may wait for ever.
                let next = self.room_for_next(&mut waiting);
                let fragile = memory.fragile;
                let (done, fetching) =
                    tokio::join!(self.hand_over(&memory.held()?.position, fetched), async move {
                        let (batch, room) = next?;
                        let fetched = self.fetch(session, fragile, &batch, Some(room)).await;
                        Some((batch, fetched))
                    });
                self.settle(session, memory, &done).await?;
                memory.worked = true;
                behind.less(done.len());
                if let Some((batch, fetched)) = fetching {
                    ahead = Some(fetched.map_err(|trouble| memory.stumbled(&batch, trouble))?);
                }
            }
        }
        self.catch_up(memory).await
    }

    fn room_for_next(&self, waiting: &mut VecDeque<Batch>) -> Option<(Batch, OwnedSemaphorePermit)> {
        let room = self.doors.room.now(waiting.front()?.bytes())?;
        waiting.pop_front().map(|batch| (batch, room))
    }

    /// Returns when all of them are kept, however long the intake refuses.
    async fn hand_over(&self, position: &Position, fetched: Fetched) -> Vec<Done> {
        let Fetched { mails, room } = fetched;
        let (mut live, mut imported, mut done) = (Vec::new(), Vec::new(), Vec::new());
        for Read { listed, lost, event: (mut event, raw) } in mails {
            let lane = position.lane(listed.uid, listed.arrived_at);
            done.push(Done { listed, lane, lost });
            match lane {
                Lane::Live => live.push((event, raw)),
                Lane::Import => {
                    if let Content::Email(mail) = &mut event.content {
                        mail.imported = true;
                    }
                    imported.push((event, raw));
                }
            }
        }
        take::keep(&self.source, &self.doors, Lane::Live, live).await;
        take::keep(&self.source, &self.doors, Lane::Import, imported).await;
        drop(room);
        self.measure(&done);
        done
    }

    /// How long live mails waited in their mailbox.
    fn measure(&self, done: &[Done]) {
        let now = (self.doors.clock)();
        let name = self.source.name().to_string();
        for at in done.iter().filter(|one| one.lane == Lane::Live).filter_map(|one| one.listed.arrived_at) {
            let waited = now.duration_since(at).as_secs_f64().max(0.0);
            metrics::histogram!("frontdesk_mail_wait_seconds", "source" => name.clone()).record(waited);
        }
    }
}

/// Logs in, opens the mailbox and changes nothing: for an operator who wants to know whether it works. A
/// source without a mailbox is fine.
///
/// # Errors
/// A sentence about what does not work, within half a minute or little more.
pub async fn look(source: &Source) -> Result<(), String> {
    let Some(account) = &source.account else { return Ok(()) };
    let looked = async {
        let session = Session::open(source.name().as_str(), account).await?;
        session.select(&account.place.folder, false).await
    };
    let looked = tokio::time::timeout(REFUSED, looked).await;
    let looked = looked.map_err(|_| "the server takes too long".to_owned())?;
    looked.map(|_| ()).map_err(|trouble| trouble.to_string())
}

impl Memory {
    fn held(&self) -> Result<&Held, Trouble> {
        self.held.as_ref().ok_or_else(|| Trouble::Broken("the mailbox was not located".to_owned()))
    }

    /// A batch could not be fetched: the next session goes mail by mail there.
    fn stumbled(&mut self, batch: &Batch, trouble: Trouble) -> Trouble {
        self.fragile = Fragile::after(self.fragile, batch);
        trouble
    }
}

/// A mail that is kept.
struct Done {
    listed: Listed,
    lane: Lane,
    /// Only that it was there is kept, so it stays as it is.
    lost: bool,
}

/// The mails from `first` to `last` (`None`: the end) that are to be read.
async fn search(
    session: &Session,
    position: &Position,
    first: u32,
    last: Option<u32>,
) -> Result<Vec<u32>, Trouble> {
    let mut uids = Vec::new();
    for (first, last, since) in position.parts(first, last) {
        uids.extend(session.search(first, last, since).await?);
    }
    Ok(uids)
}

/// The gauge of a mailbox whose session is open; down again when the reader is dropped.
struct Up(metrics::Gauge);

impl Up {
    fn of(source: &Source) -> Self {
        Self(metrics::gauge!("frontdesk_mailbox_up", "source" => source.name().to_string()))
    }

    fn set(&self, up: bool) {
        self.0.set(if up { 1.0 } else { 0.0 });
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        self.set(false);
    }
}

/// The gauge of mails found and not yet kept.
struct Behind(metrics::Gauge);

impl Behind {
    fn new(source: &Source, mails: usize) -> Self {
        let gauge = metrics::gauge!("frontdesk_mailbox_behind_mails", "source" => source.name().to_string());
        gauge.set(mails as f64);
        Self(gauge)
    }

    fn less(&mut self, mails: usize) {
        self.0.decrement(mails as f64);
    }
}

impl Drop for Behind {
    fn drop(&mut self) {
        // What is left is found again, and counted then.
        self.0.set(0.0);
    }
}
