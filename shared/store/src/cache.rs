//! A small map that an instance keeps between invocations.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A map behind a lock. A new entry in a full cache removes all others, which are then read again.
#[derive(Debug)]
pub struct Cache<K, V> {
    entries: Mutex<HashMap<K, V>>,
    capacity: usize,
}

impl<K: Eq + Hash, V> Cache<K, V> {
    /// Returns an empty cache for up to `capacity` entries.
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
        self.with_room(&key).insert(key, value);
    }

    /// Removes an entry.
    pub fn remove(&self, key: &K) {
        self.lock().remove(key);
    }

    /// Removes the entries for which `keep` returns `false`.
    pub fn retain(&self, keep: impl FnMut(&K, &mut V) -> bool) {
        self.lock().retain(keep);
    }

    /// Changes an entry; returns `None` if there is none.
    pub fn change<R>(&self, key: &K, act: impl FnOnce(&mut V) -> R) -> Option<R> {
        self.lock().get_mut(key).map(act)
    }

    /// Changes an entry. Adds it first if there is none.
    pub fn with<R>(&self, key: K, make: impl FnOnce() -> V, act: impl FnOnce(&mut V) -> R) -> R {
        act(self.with_room(&key).entry(key).or_insert_with(make))
    }

    /// Returns the entries, with room for this key.
    fn with_room(&self, key: &K) -> MutexGuard<'_, HashMap<K, V>> {
        let mut entries = self.lock();
        if entries.len() >= self.capacity && !entries.contains_key(key) {
            entries.clear();
        }
        entries
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<K, V>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
