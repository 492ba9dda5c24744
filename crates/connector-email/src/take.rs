//! From the bytes of a mail to something kept: read, handed over, and only then told so.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use connector::IntakeError;
use contact::email::Cut;
use contact::{Content, Event, EventKey, RawBytes, Unreadable};
use futures::StreamExt as _;
use jiff::Timestamp;
use tracing::{error, warn};

use crate::config::{MOST_BYTES, Source};
use crate::cursor::Lane;
use crate::doors::Doors;
use crate::normalise::{Mailbox, normalise, unreadable};

/// How a mail's raw is labelled.
const MAIL: &str = "message/rfc822";
/// So many mails are handed over at a time, so that the journal flushes them together.
const AT_ONCE: usize = 64;
/// An intake that refuses is asked again no sooner and no later.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(300));

/// A mail, and what is known about it from outside.
pub(crate) struct Arrived {
    pub(crate) raw: Vec<u8>,
    /// INTERNALDATE, where there is one.
    pub(crate) arrived_at: Option<Timestamp>,
    /// Why it is a dead letter, when it could not be fetched or was cut off.
    pub(crate) state: State,
}

/// What is in [`Arrived::raw`].
pub(crate) enum State {
    Whole,
    /// Its beginning: it is larger than what is taken.
    Beginning,
    /// What could be had of a mail that its server could not give.
    Lost(Unreadable),
}

/// What became of a mail handed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    /// The event it became.
    pub key: EventKey,
    /// Whether it could be read; otherwise it is a dead letter.
    pub readable: bool,
}

/// Why a mail handed in was not kept. Its sender must keep it, or be told.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotTaken {
    #[error("the mail is empty")]
    Empty,
    #[error("the mail has {size} bytes, and {most} are taken")]
    TooLarge { size: u64, most: u64 },
    /// Nothing is wrong with the mail; it may be tried again.
    #[error(transparent)]
    NotNow(#[from] IntakeError),
}

/// Takes one mail for a source: from a mail server's pipe, or any other way in. Returns once it is kept.
///
/// A mail that cannot be read is kept as a dead letter. Safe to repeat: the same mail has the same key.
///
/// # Errors
/// When it was not kept; see [`NotTaken`].
pub async fn hand_in(source: &Source, raw: Vec<u8>, doors: &Doors) -> Result<Taken, NotTaken> {
    let size = raw.len() as u64;
    if raw.is_empty() {
        return Err(NotTaken::Empty);
    }
    // `max_bytes` is for mailboxes, which keep the whole mail. Of this one ours is the only copy.
    if size > MOST_BYTES {
        return Err(NotTaken::TooLarge { size, most: MOST_BYTES });
    }
    let _room = doors.room.wait(size).await;
    let now = (doors.clock)();
    let arrived = vec![Arrived { raw, arrived_at: None, state: State::Whole }];
    let Some((event, raw)) = read(source.mailbox().clone(), arrived, now).await?.pop() else {
        return Err(NotTaken::Empty);
    };
    let readable = !matches!(event.content, Content::Unreadable(_));
    let key = event.key.clone();
    doors.intake.accept(event.clone(), raw).await?;
    doors.namesakes.meet(&event);
    count(source, "handed_in", readable);
    Ok(Taken { key, readable })
}

/// Reads mails off the async threads, on every core: what a stranger wrote may take a moment. In their order.
pub(crate) async fn read(
    mailbox: Mailbox,
    mails: Vec<Arrived>,
    now: Timestamp,
) -> Result<Vec<(Event, RawBytes)>, IntakeError> {
    let mailbox = Arc::new(mailbox);
    let hands = std::thread::available_parallelism().map_or(1, usize::from);
    let share = mails.len().div_ceil(hands).max(1);
    let mut mails = mails.into_iter();
    let mut working = Vec::with_capacity(hands);
    loop {
        let part: Vec<Arrived> = mails.by_ref().take(share).collect();
        if part.is_empty() {
            break;
        }
        let mailbox = Arc::clone(&mailbox);
        let work = move || part.into_iter().map(|mail| read_one(&mailbox, mail, now)).collect::<Vec<_>>();
        working.push(tokio::task::spawn_blocking(work));
    }
    let mut events = Vec::new();
    for part in working {
        // Fails when everything ends, and then nothing is promised any more.
        events.extend(part.await.map_err(|error| IntakeError::Broken {
            reason: format!("mails are not read any more: {error}"),
            retry_after: PAUSES.0,
        })?);
    }
    Ok(events)
}

fn read_one(mailbox: &Mailbox, mail: Arrived, now: Timestamp) -> (Event, RawBytes) {
    // A mail on which our reader fails is one dead letter, and not the end of its mailbox.
    let tried = catch_unwind(AssertUnwindSafe(|| event(mailbox, &mail, now)));
    let event = tried.unwrap_or_else(|_| {
        let reason = "our reader failed on it".to_owned();
        unreadable(mailbox, &mail.raw, Unreadable { reason, field: None }, now)
    });
    (event, RawBytes::new(MAIL, mail.raw))
}

fn event(mailbox: &Mailbox, mail: &Arrived, now: Timestamp) -> Event {
    let arrived_at = mail.arrived_at.unwrap_or(now);
    match &mail.state {
        State::Lost(why) => unreadable(mailbox, &mail.raw, why.clone(), now),
        State::Whole | State::Beginning => match normalise(mailbox, &mail.raw, arrived_at, now) {
            Err(why) => unreadable(mailbox, &mail.raw, why, now),
            Ok((mut event, _)) => {
                if let (State::Beginning, Content::Email(email)) = (&mail.state, &mut event.content)
                    && !email.cut.contains(&Cut::Parts)
                {
                    email.cut.push(Cut::Parts);
                    email.cut.sort();
                }
                event
            }
        },
    }
}

/// Hands over all of a batch, however long that takes: an intake that refuses is asked again when it
/// said, for what it has not taken yet. Nothing is lost meanwhile, because the mailbox has it.
pub(crate) async fn keep(source: &Source, doors: &Doors, lane: Lane, batch: Vec<(Event, RawBytes)>) {
    let (intake, lane) = match lane {
        Lane::Live => (&doors.intake, "live"),
        Lane::Import => (&doors.imports, "import"),
    };
    let mut left = batch;
    while !left.is_empty() {
        let tried: Vec<_> = futures::stream::iter(left)
            .map(|(event, raw)| async move {
                let readable = !matches!(event.content, Content::Unreadable(_));
                match intake.accept(event.clone(), raw.clone()).await {
                    Ok(()) => {
                        doors.namesakes.meet(&event);
                        count(source, lane, readable);
                        None
                    }
                    Err(error) => Some((event, raw, error)),
                }
            })
            .buffered(AT_ONCE)
            .filter_map(std::future::ready)
            .collect()
            .await;
        let Some((_, _, refusal)) = tried.first() else { return };
        let pause = refusal.retry_after().clamp(PAUSES.0, PAUSES.1);
        metrics::counter!("frontdesk_mail_refused_total", "source" => source.name().to_string()).increment(1);
        let (waiting, pause_s) = (tried.len(), pause.as_secs());
        warn!(source = %source.name(), waiting, pause_s, reason = %refusal, "mails wait in their mailbox");
        left = tried.into_iter().map(|(event, raw, _)| (event, raw)).collect();
        tokio::time::sleep(pause).await;
    }
}

fn count(source: &Source, lane: &'static str, readable: bool) {
    let name = source.name().to_string();
    if !readable {
        error!(source = %name, lane, "a mail could not be read and is kept as a dead letter");
        metrics::counter!("frontdesk_mail_unreadable_total", "source" => name.clone()).increment(1);
    }
    metrics::counter!("frontdesk_mail_kept_total", "source" => name, "lane" => lane).increment(1);
}
