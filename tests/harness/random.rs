//! Chance that can be repeated.

use std::hash::{BuildHasher as _, RandomState};

use routing::testing::Chance;

/// A small generator: the same seed tells the same story.
#[derive(Clone, Debug)]
pub struct Random(Chance);

impl Random {
    /// From `FRONTDESK_TEST_SEED`, else a new one, which a failed test prints.
    pub fn new() -> Self {
        let given = std::env::var_os("FRONTDESK_TEST_SEED").and_then(|text| text.to_str()?.parse().ok());
        let seed = given.unwrap_or_else(|| RandomState::new().hash_one(0) % 1_000_000);
        eprintln!("repeat this story with FRONTDESK_TEST_SEED={seed}");
        Self(Chance(seed))
    }

    /// For what no story depends on.
    pub(crate) fn unseeded() -> Self {
        Self(Chance(RandomState::new().hash_one(0)))
    }

    /// Another generator, for another task.
    pub fn fork(&mut self) -> Self {
        Self(Chance(self.0.roll()))
    }

    /// One of `0..n`.
    pub fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.0.roll() % u64::try_from(n.max(1)).unwrap_or(1)).unwrap_or(0)
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
