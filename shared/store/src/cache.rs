//! A small map that an instance keeps between invocations.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A map behind a lock. A full one is emptied: what it held is read again.
#[derive(Debug)]
pub struct Cache<K, V> {
    entries: Mutex<HashMap<K, V>>,
    capacity: usize,
}

impl<K: Eq + Hash, V> Cache<K, V> {
    /// Returns an empty cache for this many entries.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self { entries: Mutex::default(), capacity }
    }

    /// Returns a copy of an entry.
    pub fn get(&self, key: &K) -> Option<V>
    where
        V: Clone,
    {
        self.lock().get(key).cloned()
    }

    /// Returns whether there is an entry.
    pub fn contains(&self, key: &K) -> bool {
        self.lock().contains_key(key)
    }

    /// Adds or replaces an entry.
    pub fn insert(&self, key: K, value: V) {
        let mut entries = self.lock();
        if entries.len() >= self.capacity && !entries.contains_key(&key) {
            entries.clear();
        }
        entries.insert(key, value);
    }

    /// Removes an entry.
    pub fn remove(&self, key: &K) {
        self.lock().remove(key);
    }

    /// Keeps only the entries for which this holds.
    pub fn retain(&self, keep: impl FnMut(&K, &mut V) -> bool) {
        self.lock().retain(keep);
    }

    /// Changes an entry, which is made first where there is none.
    pub fn with<R>(&self, key: K, make: impl FnOnce() -> V, act: impl FnOnce(&mut V) -> R) -> R {
        let mut entries = self.lock();
        if entries.len() >= self.capacity && !entries.contains_key(&key) {
            entries.clear();
        }
        act(entries.entry(key).or_insert_with(make))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<K, V>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
