//! Which rows changed, each once, in the order of their first change.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;

/// Keys of changed rows, each once, in the order of their first change.
pub(crate) struct Order<K> {
    keys: Vec<K>,
    seen: HashSet<K>,
}

impl<K> Default for Order<K> {
    fn default() -> Self {
        Self { keys: Vec::new(), seen: HashSet::new() }
    }
}

impl<K: Copy + Eq + Hash> Order<K> {
    pub(crate) fn note(&mut self, key: K) {
        if self.seen.insert(key) {
            self.keys.push(key);
        }
    }

    pub(crate) fn take<V>(self, rows: &mut HashMap<K, V>) -> Vec<V> {
        self.keys.iter().filter_map(|key| rows.remove(key)).collect()
    }
}

/// Changed rows that need not be read first.
pub(crate) struct Changed<K, V> {
    order: Order<K>,
    rows: HashMap<K, V>,
}

impl<K, V> Default for Changed<K, V> {
    fn default() -> Self {
        Self { order: Order::default(), rows: HashMap::new() }
    }
}

impl<K: Copy + Eq + Hash, V> Changed<K, V> {
    pub(crate) fn put(&mut self, key: K, row: V) {
        self.order.note(key);
        self.rows.insert(key, row);
    }

    /// Changes every row that is to be written.
    pub(crate) fn change(&mut self, change: impl FnMut(&mut V)) {
        self.rows.values_mut().for_each(change);
    }

    pub(crate) fn rows(mut self) -> Vec<V> {
        self.order.take(&mut self.rows)
    }
}
