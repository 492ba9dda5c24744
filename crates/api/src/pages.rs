//! The feed in rendered pages that all who follow it share: each change is read once and rendered once, whether
//! somebody follows live or comes from far behind.
//!
//! A page is a stretch of positions, the same for everybody, so that a thousand consoles that come back together
//! read the store once and not a thousand times. What a page shows stood so when it was read; whatever changed
//! since has a later position.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use timeline::{FeedChange, FeedKind, Store, StoreError};

use crate::Clock;
use crate::render::render;

/// Positions of a page.
const LONG: i64 = 256;
/// Pages kept in memory, and in bytes what they may hold: those used last, and those that somebody is reading.
const MOST_PAGES: usize = 64;
const MOST_BYTES: usize = 32 * 1024 * 1024;

/// One change as everybody is sent it.
pub(crate) struct Frame {
    pub(crate) kind: FeedKind,
    /// Whom it concerns before all others: the agent an offer is made to, those at whose telephones a call rings.
    pub(crate) to: Vec<String>,
    pub(crate) bytes: Box<[u8]>,
}

impl Frame {
    /// Whoever comes back after it comes back to where they were before.
    pub(crate) fn without_id(&self) -> &[u8] {
        let line = self.bytes.iter().position(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        self.bytes.get(line..).unwrap_or_default()
    }
}

/// The pages of one process.
pub(crate) struct Pages {
    store: Arc<dyn Store>,
    clock: Clock,
    kept: Mutex<BTreeMap<i64, Arc<Page>>>,
    /// Rises with every use of a page.
    uses: AtomicU64,
}

/// One page; it grows while the feed ends within it. Whoever holds one finds it again.
pub(crate) struct Page {
    stretch: RwLock<Stretch<Frame>>,
    /// Held while it is read from the store, so that one reads and the others wait.
    reading: tokio::sync::Mutex<()>,
    bytes: AtomicUsize,
    used: AtomicU64,
}

impl Pages {
    pub(crate) fn new(store: Arc<dyn Store>, clock: Clock) -> Self {
        Self { store, clock, kept: Mutex::default(), uses: AtomicU64::new(0) }
    }

    /// Shows what is known to follow `position`, up to the end of a page or until `each` has had enough; gives
    /// the last position seen. That is `position` itself where [`Pages::read`] must come first.
    pub(crate) fn show(&self, position: i64, each: impl FnMut(&Frame) -> bool) -> i64 {
        self.page(position).show(position, each)
    }

    /// Reads what follows `position` within its page, unless somebody did meanwhile. The page shows nothing of it at
    /// the end of the feed.
    pub(crate) async fn read(&self, position: i64) -> Result<Arc<Page>, StoreError> {
        let page = self.page(position);
        let alone = page.reading.lock().await;
        let missing = page.stretch().missing(position);
        let Some((after, limit)) = missing else {
            drop(alone);
            return Ok(page);
        };
        let changes = self.store.feed(after, limit).await?;
        let mut frames = Vec::with_capacity(changes.len());
        for change in changes {
            frames.push((change.position, self.frame(change).await?));
        }
        let bytes = frames.iter().map(|(_, frame)| frame.bytes.len()).sum();
        page.bytes.fetch_add(bytes, Ordering::Relaxed);
        page.stretch_mut().take(frames);
        drop(alone);
        forget_some(&mut self.kept(), MOST_PAGES);
        Ok(page)
    }

    async fn frame(&self, change: FeedChange) -> Result<Frame, StoreError> {
        let kind = change.kind;
        let mut to = change.rings.clone();
        if kind == FeedKind::Reservation {
            to.extend(change.reservation.as_ref().map(|reservation| reservation.agent.clone()));
        }
        // A call that rings is shown with everything one must know to answer it.
        let caller = change.client.as_ref().filter(|_| !change.rings.is_empty()).map(|card| card.client.id);
        let dossier = match caller {
            Some(client) => self.store.dossier(client).await?,
            None => None,
        };
        let mut bytes = Vec::with_capacity(2_048);
        render(&mut bytes, change, dossier, (self.clock)());
        Ok(Frame { kind, to, bytes: bytes.into() })
    }

    fn page(&self, position: i64) -> Arc<Page> {
        let number = position.div_euclid(LONG);
        let use_ = self.uses.fetch_add(1, Ordering::Relaxed);
        let mut kept = self.kept();
        if let Some(page) = kept.get(&number) {
            page.used.store(use_, Ordering::Relaxed);
            return Arc::clone(page);
        }
        forget_some(&mut kept, MOST_PAGES - 1);
        let page = Arc::new(Page {
            stretch: RwLock::new(Stretch::of(number)),
            reading: tokio::sync::Mutex::default(),
            bytes: AtomicUsize::new(0),
            used: AtomicU64::new(use_),
        });
        kept.insert(number, Arc::clone(&page));
        page
    }

    fn kept(&self) -> MutexGuard<'_, BTreeMap<i64, Arc<Page>>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Forgets pages that nobody holds, until no more than so many are left and they hold no more than they may.
fn forget_some(kept: &mut BTreeMap<i64, Arc<Page>>, most: usize) {
    let bytes = |page: &Arc<Page>| page.bytes.load(Ordering::Relaxed);
    let mut all: usize = kept.values().map(bytes).sum();
    while kept.len() > most || all > MOST_BYTES {
        let free = kept.iter().filter(|(_, page)| Arc::strong_count(page) == 1);
        let oldest =
            free.min_by_key(|(_, page)| page.used.load(Ordering::Relaxed)).map(|(number, _)| *number);
        let Some(gone) = oldest.and_then(|number| kept.remove(&number)) else { break };
        all = all.saturating_sub(bytes(&gone));
    }
}

impl Page {
    /// As [`Pages::show`], of this page alone.
    pub(crate) fn show(&self, position: i64, each: impl FnMut(&Frame) -> bool) -> i64 {
        self.stretch().show(position, each)
    }

    fn stretch(&self) -> RwLockReadGuard<'_, Stretch<Frame>> {
        self.stretch.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn stretch_mut(&self) -> RwLockWriteGuard<'_, Stretch<Frame>> {
        self.stretch.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The positions from `number * LONG + 1` on, [`LONG`] of them, as far as they are known. Pure.
struct Stretch<F> {
    /// Its last position.
    end: i64,
    /// Up to here, `frames` has everything there is.
    upto: i64,
    frames: Vec<(i64, F)>,
}

impl<F> Stretch<F> {
    fn of(number: i64) -> Self {
        let before = number.saturating_mul(LONG);
        Self { end: before.saturating_add(LONG), upto: before, frames: Vec::new() }
    }

    fn show(&self, position: i64, mut each: impl FnMut(&F) -> bool) -> i64 {
        let from = self.frames.partition_point(|(at, _)| *at <= position);
        for (at, frame) in self.frames.get(from..).unwrap_or_default() {
            if !each(frame) {
                return *at;
            }
        }
        self.upto.max(position)
    }

    /// After which position to read how many changes; `None` when more than `position` is known.
    fn missing(&self, position: i64) -> Option<(i64, usize)> {
        (self.upto <= position).then(|| (self.upto, usize::try_from(self.end - self.upto).unwrap_or(0)))
    }

    /// Takes what was read for [`Stretch::missing`].
    fn take(&mut self, rows: Vec<(i64, F)>) {
        for (at, frame) in rows {
            self.upto = at.min(self.end);
            if at > self.end {
                return;
            }
            self.frames.push((at, frame));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The feed, the pages that are kept, and one who follows.
    #[derive(Default)]
    struct Model {
        rows: Vec<i64>,
        pages: BTreeMap<i64, Stretch<i64>>,
        position: i64,
        seen: Vec<i64>,
    }

    impl Model {
        /// Somebody reads what follows a position.
        fn read(&mut self, position: i64) {
            let number = position.div_euclid(LONG);
            let page = self.pages.entry(number).or_insert_with(|| Stretch::of(number));
            let Some((after, limit)) = page.missing(position) else { return };
            let rows = self.rows.iter().filter(|row| **row > after).take(limit);
            page.take(rows.map(|row| (*row, *row)).collect());
        }

        /// One who follows takes at most so many; false when they must read.
        fn follow(&mut self, most: usize) -> bool {
            let Some(page) = self.pages.get(&self.position.div_euclid(LONG)) else { return false };
            let (seen, mut left) = (&mut self.seen, most);
            let end = page.show(self.position, |row| {
                seen.push(*row);
                left = left.saturating_sub(1);
                left > 0
            });
            std::mem::replace(&mut self.position, end) != end
        }
    }

    #[test]
    fn what_somebody_holds_is_not_forgotten_however_much_it_is() {
        let page = |number: i64| Page {
            stretch: RwLock::new(Stretch::of(number)),
            reading: tokio::sync::Mutex::default(),
            bytes: AtomicUsize::new(MOST_BYTES),
            used: AtomicU64::new(number.unsigned_abs()),
        };
        let mut kept: BTreeMap<i64, Arc<Page>> =
            (0..4).map(|number| (number, Arc::new(page(number)))).collect();
        let held = [Arc::clone(&kept[&0]), Arc::clone(&kept[&2])];
        forget_some(&mut kept, MOST_PAGES);
        assert_eq!(kept.keys().copied().collect::<Vec<_>>(), [0, 2]);
        drop(held);
        forget_some(&mut kept, MOST_PAGES);
        assert_eq!(kept.keys().copied().collect::<Vec<_>>(), [2], "those used last stay");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1_000))]

        /// Whatever the order of writing, reading, following and forgetting, and even with holes in the
        /// numbering, one who follows sees every change after their start once, in order.
        #[test]
        fn nothing_is_skipped_and_nothing_repeated(
            before in 0i64..600,
            start in 0i64..600,
            steps in proptest::collection::vec((0u8..6, 1i64..300), 0..120),
        ) {
            let start = start.min(before);
            let mut model = Model { rows: (1..=before).collect(), position: start, ..Model::default() };
            for (step, by) in steps {
                let last = model.rows.last().copied().unwrap_or(0);
                match step {
                    0 => model.rows.extend(last + 1..=last + by),
                    1 => model.rows.push(last + by),
                    2 => model.read(model.position),
                    3 => model.read((last - by).max(0)),
                    4 => model.pages.clear(),
                    _ => { model.follow(usize::try_from(by).unwrap()); }
                }
            }
            let last = model.rows.last().copied().unwrap_or(0);
            for _ in 0..2_000 {
                if model.position >= last {
                    break;
                }
                model.read(model.position);
                model.follow(usize::MAX);
            }
            let expected: Vec<i64> = model.rows.iter().copied().filter(|row| *row > start).collect();
            prop_assert_eq!(&model.seen, &expected);
        }
    }
}
