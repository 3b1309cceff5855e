//! The concurrent map: what Go's `map_test.go` checks, and that closures and drops may use it.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use actor_core::sync::{Map, WaitGroup};
use actor_core::{Runtime, yield_now};
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Step {
    Load(u8),
    Store(u8, u8),
    LoadOrStore(u8, u8),
    LoadAndDelete(u8),
    Swap(u8, u8),
    CompareAndSwap(u8, u8, u8),
    CompareAndDelete(u8, u8),
    Update(u8),
    Clear,
}

fn step() -> impl Strategy<Value = Step> {
    let (key, value) = (|| 0_u8..5, || 0_u8..4);
    prop_oneof![
        4 => key().prop_map(Step::Load),
        4 => (key(), value()).prop_map(|(k, v)| Step::Store(k, v)),
        4 => (key(), value()).prop_map(|(k, v)| Step::LoadOrStore(k, v)),
        4 => key().prop_map(Step::LoadAndDelete),
        4 => (key(), value()).prop_map(|(k, v)| Step::Swap(k, v)),
        4 => (key(), value(), value()).prop_map(|(k, a, b)| Step::CompareAndSwap(k, a, b)),
        4 => (key(), value()).prop_map(|(k, v)| Step::CompareAndDelete(k, v)),
        2 => key().prop_map(Step::Update),
        1 => Just(Step::Clear),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 300, failure_persistence: None, ..ProptestConfig::default()
    })]

    #[test]
    fn it_is_a_hash_map(steps in proptest::collection::vec(step(), 0..80)) {
        let (map, mut model) = (Map::new(), HashMap::new());
        for step in steps {
            match step {
                Step::Load(k) => prop_assert_eq!(map.load(&k), model.get(&k).copied()),
                Step::Store(k, v) => {
                    map.store(k, v);
                    model.insert(k, v);
                }
                Step::LoadOrStore(k, v) => {
                    let expected = match model.get(&k) {
                        Some(known) => (*known, true),
                        None => {
                            model.insert(k, v);
                            (v, false)
                        }
                    };
                    prop_assert_eq!(map.load_or_store(k, v), expected);
                }
                Step::LoadAndDelete(k) => {
                    prop_assert_eq!(map.load_and_delete(&k), model.remove(&k));
                }
                Step::Swap(k, v) => prop_assert_eq!(map.swap(k, v), model.insert(k, v)),
                Step::CompareAndSwap(k, old, new) => {
                    let equal = model.get(&k) == Some(&old);
                    if equal {
                        model.insert(k, new);
                    }
                    prop_assert_eq!(map.compare_and_swap(&k, &old, new), equal);
                }
                Step::CompareAndDelete(k, old) => {
                    let equal = model.get(&k) == Some(&old);
                    if equal {
                        model.remove(&k);
                    }
                    prop_assert_eq!(map.compare_and_delete(&k, &old), equal);
                }
                Step::Update(k) => {
                    let expected = model.get_mut(&k).map(|v| { *v = (*v + 1) % 4; *v });
                    prop_assert_eq!(map.update(&k, |v| { *v = (*v + 1) % 4; *v }), expected);
                }
                Step::Clear => {
                    map.clear();
                    model.clear();
                }
            }
            prop_assert_eq!((map.len(), map.is_empty()), (model.len(), model.is_empty()));
            prop_assert!((0..5).all(|k| map.contains(&k) == model.contains_key(&k)));
        }
        prop_assert_eq!(map.into_iter().collect::<HashMap<_, _>>(), model);
    }
}

#[test]
fn goroutines_count_together_without_losing_one() {
    const KEYS: usize = 10;
    let runtime = Runtime::builder().procs(4).build().unwrap();
    let map = Arc::new(Map::new());
    runtime.block_on(async {
        let group = WaitGroup::new();
        for g in 0..8 {
            let map = map.clone();
            drop(group.go(async move {
                for n in 0..1_000 {
                    let key = (g + n) % KEYS;
                    if n % 2 == 0 {
                        map.load_or_store(key, 0);
                        map.update(&key, |count| *count += 1);
                    } else {
                        loop {
                            let (old, _) = map.load_or_store(key, 0);
                            if map.compare_and_swap(&key, &old, old + 1) {
                                break;
                            }
                        }
                    }
                    if n % 64 == 0 {
                        yield_now().await;
                    }
                }
            }));
        }
        group.wait().await;
    });
    let mut sum = 0;
    map.range(|_, count| {
        sum += count;
        true
    });
    assert_eq!(sum, 8_000);
}

#[test]
fn one_of_many_makes_the_value() {
    let (map, made) = (Map::new(), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for key in 0..500 {
                    map.load_or_store_with(key, || made.fetch_add(1, SeqCst));
                }
            });
        }
    });
    assert_eq!((map.len(), made.load(SeqCst)), (500, 500));
}

/// Go's `TestMapRangeNestedCall`.
#[test]
fn range_may_be_called_within_range_and_change_the_map() {
    let map: Map<_, _> = (0..20).map(|n| (n, n)).collect();
    let mut visited = 0;
    map.range(|outer, _| {
        map.range(|inner, _| {
            assert!(!map.load_or_store(*inner, 7).1 || map.contains(inner));
            map.store(100 + inner, 0);
            visited += 1;
            true
        });
        map.load_and_delete(outer);
        *outer != 19 || visited > 0
    });
    assert!(visited >= 20);
    let mut first = 0;
    map.range(|_, _| {
        first += 1;
        false
    });
    assert_eq!(first, 1, "false ends it");
}

/// A value whose drop looks into the map it was in: a deadlock, were it dropped under the lock.
struct Nosy(Arc<Map<u8, Nosy>>, Arc<AtomicUsize>);

impl Drop for Nosy {
    fn drop(&mut self) {
        for key in 0..8 {
            self.0.contains(&key);
        }
        self.1.fetch_add(1, SeqCst);
    }
}

#[test]
fn values_are_dropped_outside_the_lock() {
    let (map, drops) = (Arc::new(Map::new()), Arc::new(AtomicUsize::new(0)));
    let nosy = || Nosy(map.clone(), drops.clone());
    map.store(1, nosy());
    map.store(1, nosy());
    drop(map.load_and_delete(&1));
    for key in 0..8 {
        map.store(key, nosy());
    }
    map.clear();
    assert_eq!((map.len(), drops.load(SeqCst)), (0, 10));
}

#[test]
fn values_need_not_be_clone_to_be_looked_at() {
    struct Costly(Vec<u8>);
    let map = Map::new();
    map.store("a".to_owned(), Costly(vec![1, 2]));
    assert_eq!(map.with("a", |costly| costly.0.len()), Some(2));
    assert_eq!(map.with("b", |costly| costly.0.len()), None);
    assert_eq!(format!("{map:?}"), "Map { len: 1, .. }");
}
