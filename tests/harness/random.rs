//! Chance that can be repeated.

use std::hash::{BuildHasher as _, RandomState};

/// A small generator (SplitMix64): the same seed tells the same story.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// From `FRONTDESK_TEST_SEED`, else a new one, which a failed test prints.
    pub fn new() -> Self {
        let given = std::env::var_os("FRONTDESK_TEST_SEED").and_then(|text| text.to_str()?.parse().ok());
        let seed = given.unwrap_or_else(|| RandomState::new().hash_one(0) % 1_000_000);
        eprintln!("repeat this story with FRONTDESK_TEST_SEED={seed}");
        Self(seed)
    }

    /// For what no story depends on.
    pub(crate) fn unseeded() -> Self {
        Self(RandomState::new().hash_one(0))
    }

    /// Another generator, for another task.
    pub fn fork(&mut self) -> Self {
        Self(self.next())
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// One of `0..n`.
    pub fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(n.max(1)).unwrap_or(1)).unwrap_or(0)
    }

    /// In any order.
    pub fn shuffle<T>(&mut self, things: &mut [T]) {
        for last in (1..things.len()).rev() {
            things.swap(last, self.below(last + 1));
        }
    }

    /// `count` moments spread over `0..total`, each at a random place of its share.
    pub fn moments(&mut self, count: usize, total: usize) -> Vec<usize> {
        let share = total / (count + 1);
        (0..count).map(|nth| share / 2 + nth * share + self.below(share)).collect()
    }
}

impl Default for Random {
    fn default() -> Self {
        Self::new()
    }
}
