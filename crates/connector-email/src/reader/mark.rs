//! Moving the cursor, and then marking what is kept.

use std::time::{Duration, Instant};

use connector::CursorError;
use tracing::{info, warn};

use super::{Done, LIST, Memory, Reader, search};
use crate::config::After;
use crate::cursor::Position;
use crate::session::{Selected, Session};
use crate::trouble::Trouble;

/// How often in a row somebody else may move the cursor before we leave it to them for now.
const MOST_RACES: usize = 8;

/// In a backlog of mails that are left as they are the cursor moves no more often: moving it costs flushes, and
/// what a crash repeats is harmless.
const MOVES_EVERY: Duration = Duration::from_secs(1);

/// Where we are, and the revision under which that was last kept.
pub(super) struct Held {
    pub(super) position: Position,
    revision: Option<u64>,
    /// When the cursor was last moved by us, if it was.
    moved_at: Option<Instant>,
    /// The cursor is behind the position.
    behind: bool,
}

impl Held {
    fn new(position: Position, revision: u64) -> Self {
        Self { position, revision: Some(revision), moved_at: None, behind: false }
    }
}

impl Reader {
    /// Where to read from in the mailbox as it is now. A newcomer asks the cursors, and does not start
    /// while they cannot be reached; who has read before goes on.
    pub(super) async fn locate(
        &self,
        session: &Session,
        memory: &mut Memory,
        selected: Selected,
    ) -> Result<(), Trouble> {
        let mut held = match memory.held.take() {
            Some(held) => held,
            None => self.first(session, selected).await?,
        };
        if held.position.validity != selected.validity {
            warn!(source = %self.source.name(), "the mailbox was made anew; reading it again by date");
            held.position = held.position.seen(selected, self.source.from);
        }
        let held = memory.held.insert(held);
        // What was kept and not marked when a session or a process ended.
        let position = &mut held.position;
        if self.source.after != After::Leave && position.marked < position.next {
            let uids = search(session, position, position.marked, Some(position.next - 1)).await?;
            for some in uids.chunks(LIST) {
                self.mark(session, some).await?;
            }
            position.marked = position.next;
        }
        Ok(())
    }

    async fn first(&self, session: &Session, selected: Selected) -> Result<Held, Trouble> {
        let name = self.source.name().as_str();
        for _ in 0..MOST_RACES {
            if let Some(mark) = self.doors.cursors.get(name).await.map_err(unreachable_cursors)? {
                return Ok(Held::new(self.known(&mark.value)?, mark.revision));
            }
            let next = match selected.next {
                Some(next) => next,
                None => session.search(1, None, None).await?.last().map_or(1, |last| last.saturating_add(1)),
            };
            let position = Position::begin(selected.validity, next, self.source.from, (self.doors.clock)());
            match self.doors.cursors.advance(name, None, &text(&position)?).await {
                Ok(revision) => {
                    info!(source = name, next = position.next, "the first start at this mailbox");
                    return Ok(Held::new(position, revision));
                }
                Err(CursorError::Moved) => {}
                Err(error) => return Err(unreachable_cursors(error)),
            }
        }
        Err(unreachable_cursors(CursorError::Moved))
    }

    fn known(&self, value: &str) -> Result<Position, Trouble> {
        Position::read(value)
            .map_err(|error| Trouble::Refused(format!("what is kept of the cursor is damaged: {error}")))
    }

    /// A whole batch is kept: the cursor moves, and then the mails are marked. What is left as it is waits for a
    /// later move, or for [`Reader::catch_up`].
    pub(super) async fn settle(
        &self,
        session: &Session,
        memory: &mut Memory,
        done: &[Done],
    ) -> Result<(), Trouble> {
        let now = (self.doors.clock)();
        let Some(held) = &mut memory.held else { return Ok(()) };
        let before = held.position.next;
        for one in done {
            held.position.kept(one.listed.uid, one.listed.arrived_at, now);
        }
        if self.source.after == After::Leave {
            held.position.marked = held.position.next;
        }
        held.behind = true;
        let lately = held.moved_at.is_some_and(|at| at.elapsed() < MOVES_EVERY);
        if self.source.after == After::Leave && lately {
            return Ok(());
        }
        let reached = held.position.next;
        self.advance(held).await?;
        let uids: Vec<u32> = done.iter().filter(|one| !one.lost).map(|one| one.listed.uid).collect();
        self.mark(session, &uids).await?;
        // Another reader, whose place we may have taken over, marks its own.
        if held.position.marked >= before {
            held.position.marked = held.position.marked.max(reached);
        }
        Ok(())
    }

    /// Everything there was is kept: the cursor moves there, if it has not.
    pub(super) async fn catch_up(&self, memory: &mut Memory) -> Result<(), Trouble> {
        match &mut memory.held {
            Some(held) if held.behind => self.advance(held).await,
            _ => Ok(()),
        }
    }

    /// Keeps where we are. A cursor that cannot be reached holds nobody up: the mails are in the journal,
    /// and at worst they are read twice. One that somebody else moved is read, and the farther place
    /// counts.
    async fn advance(&self, held: &mut Held) -> Result<(), Trouble> {
        let name = self.source.name().as_str();
        (held.behind, held.moved_at) = (false, Some(Instant::now()));
        let mut error = CursorError::Moved;
        for _ in 0..MOST_RACES {
            match self.doors.cursors.advance(name, held.revision, &text(&held.position)?).await {
                Ok(revision) => {
                    held.revision = Some(revision);
                    return Ok(());
                }
                Err(CursorError::Moved) => {}
                Err(other) => {
                    error = other;
                    break;
                }
            }
            match self.doors.cursors.get(name).await {
                Ok(None) => held.revision = None,
                Ok(Some(mark)) => {
                    let theirs = self.known(&mark.value)?;
                    held.revision = Some(mark.revision);
                    if theirs.validity != held.position.validity {
                        // Which of the two mailboxes is the present one shows when it is opened again.
                        held.position = theirs;
                        return Err(Trouble::Broken("another reader found another mailbox".to_owned()));
                    }
                    if theirs.next >= held.position.next {
                        held.position = theirs;
                        return Ok(());
                    }
                }
                Err(other) => {
                    error = other;
                    break;
                }
            }
        }
        metrics::counter!("frontdesk_mail_cursor_away_total", "source" => name.to_owned()).increment(1);
        warn!(source = name, reason = %error, "the cursor could not be moved; reading goes on");
        Ok(())
    }

    /// A server that refuses to mark holds nobody up either.
    async fn mark(&self, session: &Session, uids: &[u32]) -> Result<(), Trouble> {
        match session.mark(uids, &self.source.after).await {
            Err(Trouble::No(reason)) => {
                let (name, mails) = (self.source.name().to_string(), uids.len());
                warn!(source = %name, mails, %reason, "mails are kept and could not be marked");
                metrics::counter!("frontdesk_mail_unmarked_total", "source" => name).increment(mails as u64);
                Ok(())
            }
            other => other,
        }
    }
}

fn text(position: &Position) -> Result<String, Trouble> {
    position.written().map_err(|error| Trouble::Broken(format!("the cursor cannot be written: {error}")))
}

fn unreachable_cursors(error: CursorError) -> Trouble {
    Trouble::Broken(format!("without its cursor the mailbox is not begun: {error}"))
}
