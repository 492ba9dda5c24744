//! Getting mails out of a mailbox in batches, and getting past one that cannot be got.

use contact::{Event, RawBytes, Unreadable};
use tokio::sync::OwnedSemaphorePermit;
use tracing::error;

use super::Reader;
use crate::session::{Listed, Session};
use crate::take::{self, Arrived, State};
use crate::trouble::Trouble;

/// The most mails fetched by one command.
const MOST_MAILS: usize = 100;
/// The most bytes fetched by one command.
const MOST_BYTES: u64 = 8 * 1024 * 1024;
/// A larger mail is fetched alone and in pieces.
const LARGE: u64 = 1024 * 1024;
/// How much, in bytes, is taken of a mail that is too large. Not an option: its key depends on it.
pub(crate) const BEGINNING: u64 = 1024 * 1024;
/// A mail on which so many sessions broke in a row is given up.
const MOST_TRIES: u32 = 3;

/// Mails to be fetched together, by UID.
pub(super) struct Batch(Vec<Listed>);

impl Batch {
    /// Expected altogether.
    pub(super) fn bytes(&self) -> u64 {
        self.0.iter().map(|one| one.size).sum()
    }
}

/// Mails as they were read, and the room they take.
pub(super) struct Fetched {
    pub(super) mails: Vec<Read>,
    pub(super) room: Option<OwnedSemaphorePermit>,
}

/// One mail, read.
pub(super) struct Read {
    pub(super) listed: Listed,
    /// Its server could not give it.
    pub(super) lost: bool,
    pub(super) event: (Event, RawBytes),
}

/// Where fetching broke the session: up to `until` one goes mail by mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fragile {
    until: u32,
    /// The mail it broke on, once that is known, and how often.
    uid: u32,
    tries: u32,
}

impl Fragile {
    /// What is known after one more session broke, on this batch.
    pub(super) fn after(before: Option<Self>, batch: &Batch) -> Option<Self> {
        let last = batch.0.last()?.uid;
        match (before, batch.0.as_slice()) {
            (Some(known), [one]) if known.uid == one.uid => Some(Self { tries: known.tries + 1, ..known }),
            (Some(known), [one]) => Some(Self { until: known.until.max(last), uid: one.uid, tries: 1 }),
            (None, [one]) => Some(Self { until: last, uid: one.uid, tries: 1 }),
            _ => Some(Self { until: last, uid: 0, tries: 0 }),
        }
    }
}

/// Which of these mails are there. A server that cannot list them all, or whose line breaks over it, is
/// asked about each when it is fetched.
pub(super) async fn list(
    session: &Session,
    uids: &[u32],
    fragile: &mut Option<Fragile>,
) -> Result<Vec<Listed>, Trouble> {
    let known = fragile.map_or(0, |fragile| uids.partition_point(|uid| *uid <= fragile.until));
    let (unlisted, rest) = uids.split_at(known);
    let mut listed: Vec<Listed> = unlisted.iter().copied().map(Listed::unknown).collect();
    match session.list(rest).await {
        Ok(found) => listed.extend(found),
        Err(trouble) => {
            let Some(until) = rest.last().copied() else { return Err(trouble) };
            *fragile = Some(Fragile { until, uid: 0, tries: 0 });
            if !matches!(trouble, Trouble::No(_)) {
                return Err(trouble);
            }
            listed.extend(rest.iter().copied().map(Listed::unknown));
        }
    }
    Ok(listed)
}

/// Cuts a list into batches.
pub(super) fn batches(listed: &[Listed], fragile: Option<Fragile>) -> Vec<Batch> {
    let mut batches: Vec<Batch> = Vec::new();
    let mut bytes = 0;
    let mut open = false;
    for one in listed {
        let alone = one.size > LARGE || fragile.is_some_and(|fragile| one.uid <= fragile.until);
        match batches.last_mut() {
            Some(Batch(mails))
                if open && !alone && mails.len() < MOST_MAILS && bytes + one.size <= MOST_BYTES =>
            {
                mails.push(*one);
                bytes += one.size;
            }
            _ => {
                batches.push(Batch(vec![*one]));
                bytes = one.size;
                open = !alone;
            }
        }
    }
    batches
}

impl Reader {
    /// The mails of a batch that are still there. One the server cannot give becomes a dead letter, so
    /// that it is seen, and no mail behind it waits for it.
    pub(super) async fn fetch(
        &self,
        session: &Session,
        fragile: Option<Fragile>,
        batch: &Batch,
        room: Option<OwnedSemaphorePermit>,
    ) -> Result<Fetched, Trouble> {
        let mut mails = Vec::with_capacity(batch.0.len());
        match batch.0.as_slice() {
            [one] => mails.extend(self.fetch_one(session, fragile, *one).await?),
            many => {
                let uids: Vec<u32> = many.iter().map(|one| one.uid).collect();
                let mut came = match session.bodies(&uids, batch.bytes()).await {
                    Ok(came) => came,
                    // One of them is refused; which, is seen one by one.
                    Err(Trouble::No(_)) => Vec::new(),
                    Err(trouble) => return Err(trouble),
                };
                came.sort_unstable_by_key(|(uid, _)| *uid);
                for one in many {
                    match came.binary_search_by_key(&one.uid, |(uid, _)| *uid) {
                        Ok(at) => {
                            let raw =
                                came.get_mut(at).map(|(_, raw)| std::mem::take(raw)).unwrap_or_default();
                            mails.push((*one, self.arrived(*one, raw)));
                        }
                        Err(_) => mails.extend(self.fetch_one(session, fragile, *one).await?),
                    }
                }
            }
        }
        Ok(Fetched { mails: self.read(mails).await?, room })
    }

    /// What they say. Done here, so that the next mails are read while those before are kept.
    async fn read(&self, mails: Vec<(Listed, Arrived)>) -> Result<Vec<Read>, Trouble> {
        let (listed, mails): (Vec<Listed>, Vec<Arrived>) = mails.into_iter().unzip();
        let lost: Vec<bool> = mails.iter().map(|mail| matches!(mail.state, State::Lost(_))).collect();
        let events = take::read(self.source.mailbox().clone(), mails, (self.doors.clock)()).await;
        let events = events.map_err(|error| Trouble::Broken(error.to_string()))?;
        let read = listed.into_iter().zip(lost).zip(events);
        Ok(read.map(|((listed, lost), event)| Read { listed, lost, event }).collect())
    }

    async fn fetch_one(
        &self,
        session: &Session,
        fragile: Option<Fragile>,
        one: Listed,
    ) -> Result<Option<(Listed, Arrived)>, Trouble> {
        let tries = fragile.filter(|fragile| fragile.uid == one.uid).map_or(0, |fragile| fragile.tries);
        if tries >= MOST_TRIES {
            return Ok(Some(self.lost(one, "the line broke at it again and again", None)));
        }
        let one = match one.arrived_at {
            Some(_) => one,
            None => match session.list(&[one.uid]).await {
                Ok(found) => match found.first() {
                    Some(found) => *found,
                    None => return Ok(None),
                },
                Err(Trouble::No(_)) => one,
                Err(trouble) => return Err(trouble),
            },
        };
        let most = self.source.max_bytes;
        let want = if one.size > most { BEGINNING } else { most + 1 };
        match session.body(one.uid, want).await {
            Ok(Some(raw)) if one.size > most => {
                Ok(Some((one, Arrived { raw, arrived_at: one.arrived_at, state: State::Beginning })))
            }
            Ok(Some(raw)) => Ok(Some((one, self.arrived(one, raw)))),
            Ok(None) if session.list(&[one.uid]).await?.is_empty() => Ok(None),
            Ok(None) => self.header_of(session, one, "it gives none of its bytes").await,
            Err(Trouble::No(words)) => self.header_of(session, one, &words).await,
            Err(trouble) => Err(trouble),
        }
    }

    /// Of a mail that cannot be had, its header, if that can.
    async fn header_of(
        &self,
        session: &Session,
        one: Listed,
        words: &str,
    ) -> Result<Option<(Listed, Arrived)>, Trouble> {
        let header = match session.header(one.uid).await {
            Ok(header) => header,
            Err(Trouble::No(_)) => None,
            Err(trouble) => return Err(trouble),
        };
        Ok(Some(self.lost(one, words, header)))
    }

    /// A mail that came, whatever its size was said to be.
    fn arrived(&self, one: Listed, mut raw: Vec<u8>) -> Arrived {
        let mut state = State::Whole;
        if raw.len() as u64 > self.source.max_bytes {
            raw.truncate(BEGINNING as usize);
            state = State::Beginning;
        }
        Arrived { raw, arrived_at: one.arrived_at, state }
    }

    /// What can be said of a mail that cannot be had.
    fn lost(&self, one: Listed, words: &str, header: Option<Vec<u8>>) -> (Listed, Arrived) {
        let uid = one.uid;
        error!(source = %self.source.name(), uid, reason = words, "the server cannot give this mail");
        let place = &self.account.place;
        let mut raw = format!("X-Mailbox: {} on {}, UID {uid}\r\n", place.folder, place.host).into_bytes();
        raw.extend(header.unwrap_or_default());
        let reason = format!("the mail server cannot give this mail (UID {uid}): {words}");
        let state = State::Lost(Unreadable { reason, field: None });
        (one, Arrived { raw, arrived_at: one.arrived_at, state })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mails(sizes: &[(u32, u64)]) -> Vec<Listed> {
        sizes.iter().map(|(uid, size)| Listed { uid: *uid, size: *size, arrived_at: None }).collect()
    }

    fn uids(batches: &[Batch]) -> Vec<Vec<u32>> {
        batches.iter().map(|batch| batch.0.iter().map(|one| one.uid).collect()).collect()
    }

    #[test]
    fn batches_are_bounded_and_large_mails_go_alone() {
        let many = mails(&(1..=250).map(|uid| (uid, 1000)).collect::<Vec<_>>());
        let lengths: Vec<_> = batches(&many, None).iter().map(|batch| batch.0.len()).collect();
        assert_eq!(lengths, [100, 100, 50]);
        let mixed = mails(&[(1, 10), (2, LARGE + 1), (3, 10), (4, 10)]);
        assert_eq!(uids(&batches(&mixed, None)), [vec![1], vec![2], vec![3, 4]]);
        let heavy = mails(&(1..=20).map(|uid| (uid, LARGE)).collect::<Vec<_>>());
        assert_eq!(uids(&batches(&heavy, None)).iter().map(Vec::len).collect::<Vec<_>>(), [8, 8, 4]);
    }

    #[test]
    fn where_a_session_broke_one_goes_mail_by_mail_and_gives_one_up() {
        let all = mails(&[(1, 10), (2, 10), (3, 10), (4, 10)]);
        let first = Fragile::after(None, &Batch(mails(&[(1, 10), (2, 10), (3, 10)])));
        assert_eq!(uids(&batches(&all, first)), [vec![1], vec![2], vec![3], vec![4]]);
        let mut fragile = first;
        for tries in 1..=3 {
            fragile = Fragile::after(fragile, &Batch(mails(&[(2, 10)])));
            assert_eq!(fragile, Some(Fragile { until: 3, uid: 2, tries }));
        }
        let later = mails(&[(4, 10), (5, 10)]);
        assert_eq!(uids(&batches(&later, fragile)), [vec![4, 5]], "behind it they go together again");
    }
}
