//! One IMAP session (RFC 9051, RFC 3501), spoken on a thread of its own.
//!
//! The client library blocks, IDLE for minutes, so it gets a thread; the rest of the house gives it one
//! job at a time over a bounded channel. Dropping the [`Session`] cuts its line, whatever runs on it. A
//! library that panics takes its own thread with it and nothing else.

mod login;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use imap::extensions::idle::WaitOutcome;
use imap::types::UnsolicitedResponse;
use jiff::Timestamp;
use jiff::civil::Date;
use tokio::sync::{mpsc, oneshot};

use crate::account::Account;
use crate::config::After;
use crate::folder::{quoted, uid_set};
use crate::line::{MailStream, Watch};
use crate::trouble::{Trouble, trouble};
use login::login;

/// In how large pieces, in bytes, a large mail is fetched: the library holds a whole answer.
const PIECE: u64 = 512 * 1024;
/// What a server may announce while a session is open before we look away, in responses.
const MOST_UNASKED: usize = 10_000;

/// What SELECT says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Selected {
    pub(crate) validity: u32,
    /// The UID of the next mail to arrive; not every server says.
    pub(crate) next: Option<u32>,
}

/// A mail that is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Listed {
    pub(crate) uid: u32,
    /// In bytes, as the server has it; not every server is right.
    pub(crate) size: u64,
    /// INTERNALDATE.
    pub(crate) arrived_at: Option<Timestamp>,
}

impl Listed {
    /// A mail of which only the UID is known.
    pub(crate) fn unknown(uid: u32) -> Self {
        Self { uid, size: 0, arrived_at: None }
    }
}

/// How waiting ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Woken {
    ByServer,
    ByTime,
}

/// A session that is logged in, seen from the house.
pub(crate) struct Session {
    jobs: mpsc::Sender<Job>,
    cut: Cut,
    can_idle: bool,
}

type Job = Box<dyn FnOnce(&mut Live) + Send>;

/// Cuts the line when dropped.
struct Cut(Arc<Watch>);

impl Drop for Cut {
    fn drop(&mut self) {
        self.0.stop();
    }
}

/// The session on its thread.
struct Live {
    imap: imap::Session<MailStream>,
    watch: Arc<Watch>,
    can: Abilities,
    /// The mailbox that mails are moved to was seen or made in this session.
    target_is_there: bool,
    /// The server told of new mails while it was asked for something else; it will not tell again.
    news: bool,
}

#[derive(Clone, Copy)]
struct Abilities {
    idle: bool,
    move_: bool,
    uidplus: bool,
}

impl Session {
    /// Connects and logs in. `name` is for the thread.
    pub(crate) async fn open(name: &str, account: &Account) -> Result<Self, Trouble> {
        let (jobs, mut todo) = mpsc::channel::<Job>(1);
        let (tell, told) = oneshot::channel();
        let watch = Arc::new(Watch::new());
        // From here on, whoever stops waiting cuts the line.
        let cut = Cut(Arc::clone(&watch));
        let account = account.clone();
        let work = move || {
            let mut live = match login(&account, &watch) {
                Ok(live) => live,
                Err(trouble) => return drop(tell.send(Err(trouble))),
            };
            if tell.send(Ok(live.can)).is_err() {
                return;
            }
            while let Some(job) = todo.blocking_recv() {
                if watch.is_stopped() {
                    return;
                }
                job(&mut live);
                let told = live.imap.take_all_unsolicited();
                let count = told.len();
                live.news |= told.filter(|told| matches!(told, UnsolicitedResponse::Exists(_))).count() > 0;
                if count > MOST_UNASKED {
                    return;
                }
            }
        };
        std::thread::Builder::new()
            .name(name.to_owned())
            // Whoever waits for an answer learns of a panic by not getting one.
            .spawn(move || drop(catch_unwind(AssertUnwindSafe(work))))
            .map_err(|error| Trouble::Broken(format!("no thread for the mailbox: {error}")))?;
        let can = told.await.map_err(|_| gone())??;
        Ok(Self { jobs, cut, can_idle: can.idle })
    }

    pub(crate) fn can_idle(&self) -> bool {
        self.can_idle
    }

    /// Opens the mailbox, to look only where nothing is ever changed.
    pub(crate) async fn select(&self, folder: &str, change: bool) -> Result<Selected, Trouble> {
        let folder = crate::folder::encoded(folder);
        self.call(0, move |live| {
            let told = if change { live.imap.select(&folder) } else { live.imap.examine(&folder) };
            let told = told.map_err(|error| trouble("open the mailbox", error))?;
            let validity = told
                .uid_validity
                .ok_or_else(|| Trouble::Refused("the server keeps no UIDs for this mailbox".to_owned()))?;
            Ok(Selected { validity, next: told.uid_next })
        })
        .await
    }

    /// The UIDs from `first` to `last` (to the end, when `None`) in ascending order; only of mails that
    /// arrived on or after a day, when one is given.
    pub(crate) async fn search(
        &self,
        first: u32,
        last: Option<u32>,
        since: Option<Date>,
    ) -> Result<Vec<u32>, Trouble> {
        let end = last.map_or_else(|| "*".to_owned(), |last| last.to_string());
        let mut query = format!("UID {first}:{end}");
        if let Some(day) = since {
            query.push_str(&day.strftime(" SINCE %-d-%b-%Y").to_string());
        }
        self.call(0, move |live| {
            let found = live.imap.uid_search(&query).map_err(|error| trouble("search", error))?;
            // `*` is the last mail there is, even one before `first`.
            let within = |uid: &u32| *uid >= first && last.is_none_or(|last| *uid <= last);
            let mut uids: Vec<u32> = found.into_iter().filter(within).collect();
            uids.sort_unstable();
            Ok(uids)
        })
        .await
    }

    /// Which of these mails are there, how large, and since when; by UID.
    pub(crate) async fn list(&self, uids: &[u32]) -> Result<Vec<Listed>, Trouble> {
        if uids.is_empty() {
            return Ok(Vec::new());
        }
        let set = uid_set(uids);
        self.call(0, move |live| {
            let told = live.imap.uid_fetch(set, "(UID RFC822.SIZE INTERNALDATE)");
            let told = told.map_err(|error| trouble("list the mails", error))?;
            let mut listed: Vec<Listed> = told
                .iter()
                .filter_map(|one| {
                    let arrived =
                        one.internal_date().and_then(|at| Timestamp::from_second(at.timestamp()).ok());
                    Some(Listed { uid: one.uid?, size: u64::from(one.size?), arrived_at: arrived })
                })
                .collect();
            listed.sort_unstable_by_key(|one| one.uid);
            listed.dedup_by_key(|one| one.uid);
            Ok(listed)
        })
        .await
    }

    /// The bytes of these mails, `expected` altogether. One that is gone meanwhile is left out.
    pub(crate) async fn bodies(&self, uids: &[u32], expected: u64) -> Result<Vec<(u32, Vec<u8>)>, Trouble> {
        let set = uid_set(uids);
        self.call(expected, move |live| {
            let told = live.imap.uid_fetch(set, "(UID BODY.PEEK[])");
            let told = told.map_err(|error| trouble("fetch mails", error))?;
            Ok(told.iter().filter_map(|one| Some((one.uid?, one.body()?.to_vec()))).collect())
        })
        .await
    }

    /// The first `most` bytes of one mail, in pieces; `None` when it is gone.
    pub(crate) async fn body(&self, uid: u32, most: u64) -> Result<Option<Vec<u8>>, Trouble> {
        let mut whole = Vec::new();
        loop {
            let at = whole.len() as u64;
            let want = PIECE.min(most.saturating_sub(at));
            if want == 0 {
                return Ok(Some(whole));
            }
            let piece = self
                .call(want, move |live| {
                    let told =
                        live.imap.uid_fetch(uid.to_string(), format!("(UID BODY.PEEK[]<{at}.{want}>)"));
                    let told = told.map_err(|error| trouble("fetch a mail", error))?;
                    let found = told.iter().find(|one| one.uid == Some(uid));
                    Ok(found.and_then(|one| one.body()).map(<[u8]>::to_vec))
                })
                .await?;
            match piece {
                None if at == 0 => return Ok(None),
                None => return Ok(Some(whole)),
                Some(piece) => {
                    // Its end is where less comes than was asked for, whatever its size was said to be.
                    let last = (piece.len() as u64) < want;
                    whole.extend_from_slice(&piece);
                    if last {
                        return Ok(Some(whole));
                    }
                }
            }
        }
    }

    /// The header of one mail, its first bytes.
    pub(crate) async fn header(&self, uid: u32) -> Result<Option<Vec<u8>>, Trouble> {
        self.call(PIECE, move |live| {
            let told = live.imap.uid_fetch(uid.to_string(), format!("(UID BODY.PEEK[HEADER]<0.{PIECE}>)"));
            let told = told.map_err(|error| trouble("fetch a header", error))?;
            Ok(told.iter().find(|one| one.uid == Some(uid)).and_then(|one| one.header()).map(<[u8]>::to_vec))
        })
        .await
    }

    /// Does with mails that are kept what was configured. Safe to repeat.
    pub(crate) async fn mark(&self, uids: &[u32], after: &After) -> Result<(), Trouble> {
        if uids.is_empty() {
            return Ok(());
        }
        let set = uid_set(uids);
        let after = after.clone();
        self.call(0, move |live| match after {
            After::Leave => Ok(()),
            After::Seen => live.store(&set, "\\Seen"),
            After::Move(folder) => live.moved(&set, &folder),
        })
        .await
    }

    /// Waits until the server announces something, for at most `time`.
    pub(crate) async fn idle(&self, time: Duration) -> Result<Woken, Trouble> {
        self.call(0, move |live| {
            if std::mem::take(&mut live.news) {
                return Ok(Woken::ByServer);
            }
            let mut over = None;
            let ended = live.imap.idle().timeout(time).keepalive(false).wait_while(|told| match told {
                UnsolicitedResponse::Bye { information, .. } => {
                    over = Some(information.unwrap_or_default());
                    false
                }
                UnsolicitedResponse::Ok { code, .. } => code.is_none(),
                UnsolicitedResponse::Exists(_)
                | UnsolicitedResponse::Expunge(_)
                | UnsolicitedResponse::Vanished { .. } => false,
                _ => true,
            });
            match (ended, over) {
                (_, Some(words)) => Err(Trouble::Broken(format!("the server said goodbye: {words}"))),
                (Ok(WaitOutcome::MailboxChanged), None) => Ok(Woken::ByServer),
                (Ok(WaitOutcome::TimedOut), None) => Ok(Woken::ByTime),
                (Err(error), None) => Err(trouble("wait for mails", error)),
            }
        })
        .await
    }

    /// Gives the thread a job whose answer holds `bytes` of mail.
    async fn call<R: Send + 'static>(
        &self,
        bytes: u64,
        work: impl FnOnce(&mut Live) -> Result<R, Trouble> + Send + 'static,
    ) -> Result<R, Trouble> {
        let (tell, told) = oneshot::channel();
        let watch = Arc::clone(&self.cut.0);
        let job: Job = Box::new(move |live| {
            watch.command(bytes);
            // Who does not wait for it any more does not miss it.
            tell.send(work(live)).ok();
        });
        self.jobs.send(job).await.map_err(|_| gone())?;
        told.await.map_err(|_| gone())?
    }
}

impl Live {
    fn store(&mut self, set: &str, flag: &str) -> Result<(), Trouble> {
        let told = self.imap.uid_store(set, format!("+FLAGS.SILENT ({flag})"));
        told.map(|_| ()).map_err(|error| trouble("flag mails", error))
    }

    /// MOVE (RFC 6851), or what it stands for. A bare EXPUNGE is never sent: it would remove what others
    /// have flagged. Where mails cannot be expunged by UID they stay, flagged as deleted.
    fn moved(&mut self, set: &str, folder: &str) -> Result<(), Trouble> {
        let to = quoted(folder);
        if !self.target_is_there {
            // Asked before, because some servers refuse in words that the library does not understand.
            let listed = self.run(&format!("LIST \"\" {to}"))?;
            if !listed.starts_with(b"* LIST") && !listed.windows(8).any(|eight| eight == b"\n* LIST ") {
                self.run(&format!("CREATE {to}"))?;
            }
            self.target_is_there = true;
        }
        let verb = if self.can.move_ { "MOVE" } else { "COPY" };
        self.run(&format!("UID {verb} {set} {to}"))?;
        if !self.can.move_ {
            self.store(set, "\\Deleted")?;
            if self.can.uidplus {
                self.run(&format!("UID EXPUNGE {set}"))?;
            }
        }
        Ok(())
    }

    /// Gives the untagged lines.
    fn run(&mut self, command: &str) -> Result<Vec<u8>, Trouble> {
        self.watch.command(0);
        let told = self.imap.run_command_and_read_response(command);
        told.map_err(|error| trouble("move mails", error))
    }
}

fn gone() -> Trouble {
    Trouble::Broken("the session ended in the middle".to_owned())
}
