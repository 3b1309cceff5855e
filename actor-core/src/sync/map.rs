//! Go's `sync.Map`, on `dashmap`: a hash map in shards, each under its own lock.
//!
//! dashmap hands out guards that keep a shard locked. A guard that lives across an `.await` blocks
//! every thread that touches the shard until the goroutine runs again, which may need one of those
//! threads: a deadlock that no scheduler can solve. So no guard leaves this file: values are cloned
//! out, or looked at by a closure, which cannot await. What a method takes out of the map is dropped
//! after its shard was unlocked.

use std::borrow::Borrow;
use std::fmt;
use std::hash::Hash;
use std::mem;

use dashmap::DashMap;
use dashmap::mapref::entry::Entry;

/// A hash map that many goroutines and threads use at once. Share it by `Arc`, or in a static's
/// `LazyLock`.
///
/// Go's `sync.Map`, typed, with its methods under their names. No method waits but for a shard's lock,
/// which is held for one operation: all can be called in goroutines and out of them. The closures of
/// [`with`](Self::with), [`update`](Self::update) and
/// [`load_or_store_with`](Self::load_or_store_with), and the `Hash`, `Eq` and `Clone` of keys and
/// values, run under that lock: they must not use the map, or they may wait for themselves.
///
/// ```
/// use actor_core::sync::Map;
///
/// let seen = Map::new();
/// seen.store("ada", 1);
/// assert_eq!(seen.load("ada"), Some(1));
/// assert_eq!(seen.load_or_store("ada", 7), (1, true)); // it was there
/// seen.update("ada", |count| *count += 1);
/// assert!(seen.compare_and_swap("ada", &2, 3));
/// assert_eq!(seen.load_and_delete("ada"), Some(3));
/// assert!(seen.is_empty());
/// ```
pub struct Map<K, V> {
    map: DashMap<K, V>,
}

impl<K: Hash + Eq, V> Map<K, V> {
    /// An empty map.
    pub fn new() -> Self {
        Self {
            map: DashMap::new(),
        }
    }

    /// A clone of the value under `key`. Go's `Load`.
    pub fn load<Q>(&self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
        V: Clone,
    {
        self.with(key, V::clone)
    }

    /// What `look` makes of the value under `key`; for values that are costly to clone.
    ///
    /// `look` runs under the shard's lock: see the type's notes.
    ///
    /// ```
    /// let names = actor_core::sync::Map::new();
    /// names.store(1, "Ada Lovelace".to_owned());
    /// assert_eq!(names.with(&1, |name| name.len()), Some(12));
    /// ```
    pub fn with<Q, R>(&self, key: &Q, look: impl FnOnce(&V) -> R) -> Option<R>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.map.get(key).map(|value| look(&value))
    }

    /// Changes the value under `key` in place, if there is one; returns what `change` returns.
    ///
    /// `change` runs under the shard's lock: see the type's notes. If it panics, the value is as it
    /// left it.
    pub fn update<Q, R>(&self, key: &Q, change: impl FnOnce(&mut V) -> R) -> Option<R>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.map.get_mut(key).map(|mut value| change(&mut value))
    }

    /// Whether there is a value under `key`. A moment's view.
    pub fn contains<Q>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.map.contains_key(key)
    }

    /// Puts the value under `key`, in place of another. Go's `Store`.
    pub fn store(&self, key: K, value: V) {
        drop(self.swap(key, value));
    }

    /// Puts the value under `key`; returns the one that was there. Go's `Swap`.
    pub fn swap(&self, key: K, value: V) -> Option<V> {
        self.map.insert(key, value)
    }

    /// A clone of the value under `key` and `true`; or, if there is none, puts `value` there and
    /// returns its clone and `false`. Go's `LoadOrStore`.
    pub fn load_or_store(&self, key: K, value: V) -> (V, bool)
    where
        V: Clone,
    {
        // Declared before the entry: a value that is not needed is dropped after unlocking.
        let mut value = Some(value);
        let (held, loaded) = match self.map.entry(key) {
            Entry::Occupied(entry) => (entry.get().clone(), true),
            Entry::Vacant(entry) => match value.take() {
                Some(value) => (entry.insert(value).clone(), false),
                None => unreachable!("it was put there above"),
            },
        };
        (held, loaded)
    }

    /// As [`load_or_store`](Self::load_or_store); the value is made if it is needed, by one caller
    /// only.
    ///
    /// `make` runs under the shard's lock and cannot await: for values that are slow to make, see
    /// [`SingleFlight`](super::SingleFlight).
    ///
    /// ```
    /// let squares = actor_core::sync::Map::new();
    /// assert_eq!(squares.load_or_store_with(5, || 25), (25, false));
    /// assert_eq!(squares.load_or_store_with(5, || unreachable!()), (25, true));
    /// ```
    pub fn load_or_store_with(&self, key: K, make: impl FnOnce() -> V) -> (V, bool)
    where
        V: Clone,
    {
        match self.map.entry(key) {
            Entry::Occupied(entry) => (entry.get().clone(), true),
            Entry::Vacant(entry) => (entry.insert(make()).clone(), false),
        }
    }

    /// Takes the value under `key` out of the map. Go's `LoadAndDelete`, and its `Delete`.
    pub fn load_and_delete<Q>(&self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.map.remove(key).map(|(_key, value)| value)
    }

    /// Puts `new` under `key` if the value there equals `old`; returns whether it did. Go's
    /// `CompareAndSwap`.
    pub fn compare_and_swap<Q>(&self, key: &Q, old: &V, new: V) -> bool
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
        V: PartialEq,
    {
        let mut new = Some(new);
        let replaced = self.update(key, |value| {
            let equal = value == old;
            if equal && let Some(new) = new.take() {
                Some(mem::replace(value, new))
            } else {
                None
            }
        });
        matches!(replaced, Some(Some(_))) // both values are dropped here, after unlocking
    }

    /// Takes the value under `key` out of the map if it equals `old`; returns whether it did. Go's
    /// `CompareAndDelete`.
    pub fn compare_and_delete<Q>(&self, key: &Q, old: &V) -> bool
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
        V: PartialEq,
    {
        self.map
            .remove_if(key, |_key, value| value == old)
            .is_some()
    }

    /// Calls `visit` with each key and value until it returns false. Go's `Range`.
    ///
    /// As in Go, `visit` may use the map: it is called with clones, under no lock. No key is visited
    /// twice; a key that is stored or deleted meanwhile may be visited or not.
    ///
    /// ```
    /// let map = actor_core::sync::Map::from_iter([(1, "one"), (2, "two")]);
    /// map.range(|key, _value| {
    ///     map.load_and_delete(key);
    ///     true // go on
    /// });
    /// assert!(map.is_empty());
    /// ```
    pub fn range(&self, mut visit: impl FnMut(&K, &V) -> bool)
    where
        K: Clone,
        V: Clone,
    {
        let snapshot: Vec<(K, V)> = self
            .map
            .iter()
            .map(|entry| (entry.key().clone(), entry.value().clone()))
            .collect();
        for (key, value) in &snapshot {
            if !visit(key, value) {
                return;
            }
        }
    }

    /// Takes everything out of the map. Go's `Clear`. What is stored meanwhile may stay.
    pub fn clear(&self)
    where
        K: Clone,
    {
        // Not dashmap's `clear`, which drops values under the lock.
        let keys: Vec<K> = self.map.iter().map(|entry| entry.key().clone()).collect();
        for key in &keys {
            drop(self.map.remove(key));
        }
    }

    /// How many values there are. A moment's view. (Go's `sync.Map` has none.)
    pub fn len(&self) -> usize {
        self.map.len()
    }

    /// Whether there is no value. A moment's view.
    pub fn is_empty(&self) -> bool {
        self.map.is_empty()
    }
}

impl<K: Hash + Eq, V> Default for Map<K, V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: Hash + Eq, V> FromIterator<(K, V)> for Map<K, V> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(items: I) -> Self {
        Self {
            map: items.into_iter().collect(),
        }
    }
}

impl<K: Hash + Eq, V> IntoIterator for Map<K, V> {
    type Item = (K, V);
    type IntoIter = MapIntoIter<K, V>;

    fn into_iter(self) -> MapIntoIter<K, V> {
        MapIntoIter(self.map.into_iter())
    }
}

impl<K: Hash + Eq, V> fmt::Debug for Map<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Only the length: a key's or value's `Debug` would run under a lock.
        f.debug_struct("Map")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

/// Iterator over what was in a [`Map`], which it owns: no lock is left.
pub struct MapIntoIter<K, V>(dashmap::iter::OwningIter<K, V>);

impl<K: Hash + Eq, V> Iterator for MapIntoIter<K, V> {
    type Item = (K, V);

    fn next(&mut self) -> Option<(K, V)> {
        self.0.next()
    }
}

impl<K, V> fmt::Debug for MapIntoIter<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MapIntoIter").finish_non_exhaustive()
    }
}
