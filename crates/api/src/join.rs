//! Where a subscriber's next change comes from: a page of the store, or the ring of live frames.
//!
//! Pure. A subscriber begins in the store, goes over to the ring once a page came back short, and goes
//! back to the store whenever the ring cannot prove that it continues where the subscriber stands.

/// A subscriber's place in the feed.
#[derive(Debug)]
pub(crate) struct Join {
    position: i64,
    need: Need,
}

/// What to ask next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    /// The next page after [`Join::position`] from the store.
    Page,
    /// The next frame of the ring.
    Ring,
}

/// What to do with a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// It is the next one.
    Take,
    /// It was seen.
    Skip,
    /// Something lies between: ask the store.
    Gap,
}

impl Join {
    /// Stands behind `position`, having seen it and all before it.
    pub(crate) fn at(position: i64) -> Self {
        Self { position, need: Need::Page }
    }

    pub(crate) fn position(&self) -> i64 {
        self.position
    }

    pub(crate) fn need(&self) -> Need {
        self.need
    }

    /// A page was taken; a full one may have more behind it.
    pub(crate) fn page(&mut self, last: Option<i64>, full: bool) {
        self.position = last.map_or(self.position, |last| last.max(self.position));
        self.need = if full { Need::Page } else { Need::Ring };
    }

    /// A frame of the ring, together with the position its maker had seen just before it: nothing lies
    /// between the two. A frame with `after == position` holds no change and only says where the ring is.
    pub(crate) fn offer(&mut self, after: i64, position: i64) -> Step {
        if position <= self.position {
            return Step::Skip;
        }
        if after > self.position {
            self.need = Need::Page;
            return Step::Gap;
        }
        self.position = position;
        Step::Take
    }

    /// The ring went on without us.
    pub(crate) fn lagged(&mut self) {
        self.need = Need::Page;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::*;

    const PAGE: usize = 4;
    const RING: usize = 6;

    /// A model of the whole: the feed in the store, the tailer, the ring, one subscriber.
    struct Model {
        rows: Vec<i64>,
        tailer: Option<i64>,
        ring: VecDeque<(i64, i64)>,
        lagged: bool,
        join: Join,
        seen: Vec<i64>,
    }

    impl Model {
        fn after(&self, position: i64) -> Vec<i64> {
            self.rows.iter().copied().filter(|row| *row > position).take(PAGE).collect()
        }

        fn send(&mut self, frame: (i64, i64)) {
            self.ring.push_back(frame);
            if self.ring.len() > RING {
                self.ring.pop_front();
                self.lagged = true;
            }
        }

        /// One page of the tailer, which sleeps when nobody listens and then begins at the head.
        fn tail(&mut self) {
            let mut at = match self.tailer {
                Some(at) => at,
                None => {
                    let head = self.rows.last().copied().unwrap_or(0);
                    self.send((head, head));
                    head
                }
            };
            for row in self.after(at) {
                self.send((at, row));
                at = row;
            }
            self.tailer = Some(at);
        }

        /// One step of the subscriber; false when it waits.
        fn follow(&mut self) -> bool {
            match self.join.need() {
                Need::Page => {
                    let page = self.after(self.join.position());
                    self.join.page(page.last().copied(), page.len() == PAGE);
                    self.seen.extend(page);
                    true
                }
                Need::Ring if std::mem::take(&mut self.lagged) => {
                    self.join.lagged();
                    true
                }
                Need::Ring => match self.ring.pop_front() {
                    None => false,
                    Some((after, position)) => {
                        if self.join.offer(after, position) == Step::Take {
                            self.seen.push(position);
                        }
                        true
                    }
                },
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        /// Whatever the order of writing, tailing and following, and even with holes in the numbering, a
        /// subscriber sees every change after its start once, in order.
        #[test]
        fn nothing_is_skipped_and_nothing_repeated(
            before in 0usize..12,
            start in 0usize..13,
            awake in any::<bool>(),
            steps in proptest::collection::vec((0u8..4, 1i64..4), 0..120),
        ) {
            let rows: Vec<i64> = (1..=before as i64).collect();
            let start = start.min(before) as i64;
            let mut model = Model {
                tailer: awake.then_some(rows.last().copied().unwrap_or(0)),
                rows, ring: VecDeque::new(), lagged: false, join: Join::at(start), seen: Vec::new(),
            };
            for (step, hole) in steps {
                match step {
                    0 | 1 => {
                        let last = model.rows.last().copied().unwrap_or(0);
                        model.rows.push(last + hole);
                    }
                    2 => model.tail(),
                    _ => { model.follow(); }
                }
            }
            // In the end everybody is woken once more, as the safety poll does.
            for _ in 0..200 {
                model.tail();
                while model.follow() {}
            }
            let expected: Vec<i64> = model.rows.iter().copied().filter(|row| *row > start).collect();
            prop_assert_eq!(&model.seen, &expected);
        }
    }

    #[test]
    fn a_mark_ahead_of_us_sends_us_to_the_store() {
        let mut join = Join::at(5);
        join.page(None, false);
        assert_eq!(join.offer(5, 5), Step::Skip);
        assert_eq!(join.need(), Need::Ring);
        assert_eq!(join.offer(8, 8), Step::Gap);
        assert_eq!(join.need(), Need::Page);
    }
}
