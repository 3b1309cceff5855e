//! `sync/map_test.go`.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use actor_core::sync::Map;
use actor_core::{go, yield_now};

use crate::seeds::rounds;
use crate::{Random, all, run};

/// map_test.go: TestMapMatchesRWMutex, TestMapMatchesDeepCopy: random operations do what they do on a
/// plain map.
#[test]
fn random_operations_do_what_they_do_on_a_plain_map() {
    let mut random = Random(0x2545_F491_4F6C_DD1D);
    for _ in 0..100 {
        let map = Map::new();
        let mut plain = HashMap::new();
        for _ in 0..200 {
            let (key, value) = (random.below(10), random.below(4));
            match random.below(9) {
                0 => assert_eq!(map.load(&key), plain.get(&key).copied()),
                1 => {
                    map.store(key, value);
                    plain.insert(key, value);
                }
                2 => {
                    let there = plain.get(&key).copied();
                    let (got, loaded) = map.load_or_store(key, value);
                    assert_eq!((got, loaded), (there.unwrap_or(value), there.is_some()));
                    plain.entry(key).or_insert(value);
                }
                3 => assert_eq!(map.load_and_delete(&key), plain.remove(&key)),
                4 => assert_eq!(map.swap(key, value), plain.insert(key, value)),
                5 => {
                    let equal = plain.get(&key) == Some(&value);
                    assert_eq!(map.compare_and_swap(&key, &value, 9), equal);
                    if equal {
                        plain.insert(key, 9);
                    }
                }
                6 => {
                    let equal = plain.get(&key) == Some(&value);
                    assert_eq!(map.compare_and_delete(&key, &value), equal);
                    if equal {
                        plain.remove(&key);
                    }
                }
                7 if random.below(20) == 0 => {
                    map.clear();
                    plain.clear();
                }
                _ => assert_eq!((map.len(), map.contains(&key)), {
                    (plain.len(), plain.contains_key(&key))
                }),
            }
        }
        let mut rest = HashMap::new();
        map.range(|key, value| rest.insert(*key, *value).is_none());
        assert_eq!(rest, plain);
    }
}

/// map_test.go: TestConcurrentRange: a walk beside stores sees each key once, with a value that was
/// stored for it.
#[test]
fn a_walk_beside_stores_sees_every_key_once() {
    run(4, || async {
        let size = rounds(256, 16);
        let map: Arc<Map<_, _>> = Arc::new((1..=size).map(|n| (n, n)).collect());
        let stop = Arc::new(AtomicBool::new(false));
        let storing: Vec<_> = (1..=3)
            .map(|g| {
                let (map, stop) = (map.clone(), stop.clone());
                go(async move {
                    let mut random = Random(g as u64);
                    for round in 0.. {
                        for n in 1..=size {
                            if random.below(size) == 0 {
                                map.store(n, n * round * g);
                            } else {
                                assert!(map.load(&n).is_some());
                            }
                        }
                        if stop.load(SeqCst) {
                            return;
                        }
                        yield_now().await;
                    }
                })
            })
            .collect();
        for _ in 0..rounds(50, 10) {
            let mut seen = HashSet::new();
            map.range(|key, value| {
                assert_eq!(value % key, 0, "a value of another key");
                assert!(seen.insert(*key), "{key} twice");
                true
            });
            assert_eq!(seen.len(), size);
            yield_now().await;
        }
        stop.store(true, SeqCst);
        all(storing).await;
    });
}

/// map_test.go: TestIssue40999: keys and values that were deleted are let go.
#[test]
fn what_was_deleted_is_let_go() {
    let (key, value) = (Arc::new(1), Arc::new(2));
    let map = Map::new();
    map.store(Arc::new(0), Arc::new(0));
    for _ in 0..100 {
        map.store(key.clone(), value.clone());
        assert!(map.load_and_delete(&key).is_some());
        assert_eq!((Arc::strong_count(&key), Arc::strong_count(&value)), (1, 1));
    }
    map.store(key.clone(), value.clone());
    map.clear();
    assert_eq!((Arc::strong_count(&key), Arc::strong_count(&value)), (1, 1));
}

/// map_test.go: TestMapRangeNestedCall: the visitor may use the map: walk it again, store and delete.
#[test]
fn a_walk_may_change_the_map() {
    let map = Map::from_iter([(0, "hello"), (1, "world"), (2, "Go")]);
    map.range(|outer, _| {
        map.range(|key, value| {
            assert_eq!(map.load(key), Some(*value));
            assert_eq!(map.load_or_store(42, "dummy"), ("dummy", false));
            map.store(42, "map");
            assert_eq!(map.load_and_delete(&42), Some("map"));
            true
        });
        map.load_and_delete(outer);
        true
    });
    map.range(|key, _| panic!("{key} was deleted"));
    assert!(map.is_empty());
}

/// map_test.go: TestMapRangeNestedCall, its end: a visitor that says "no more" is asked no more.
#[test]
fn a_walk_ends_when_the_visitor_says_so() {
    let map: Map<_, _> = (0..100).map(|n| (n, ())).collect();
    let mut visited = 0;
    map.range(|_, ()| {
        visited += 1;
        visited < 7
    });
    assert_eq!(visited, 7);
}

/// map_test.go: TestCompareAndSwap_NonExistingKey: nothing equals what is not there.
#[test]
fn a_missing_key_is_not_swapped() {
    let map = Map::<&str, Option<u8>>::new();
    assert!(!map.compare_and_swap("key", &None, Some(42)));
    assert!(!map.compare_and_delete("key", &None));
    assert!(map.is_empty());
}

/// map_test.go: TestMapDelete, TestMapClear: what is gone can be stored again.
#[test]
fn what_was_deleted_or_cleared_can_be_stored_again() {
    let map = Map::new();
    for round in 0..2 {
        map.store("go", 1.21);
        assert_eq!(map.load("go"), Some(1.21));
        if round == 0 {
            map.load_and_delete("go");
        } else {
            map.clear();
        }
        assert_eq!(map.load("go"), None);
    }
    map.store("go", 1.22);
    assert_eq!(map.load("go"), Some(1.22));
}

/// map_test.go: TestConcurrentClear: writers, readers and clearers at once; empty after the last
/// clear.
#[test]
fn a_map_is_cleared_beside_writers_and_readers() {
    run(4, || async {
        let map = Arc::new(Map::new());
        let mut goroutines = Vec::new();
        for n in 0..10 {
            let storing = map.clone();
            goroutines.push(go(async move { storing.store(n, n * 10) }));
            let loading = map.clone();
            goroutines.push(go(async move {
                assert!(loading.load(&n).is_none_or(|value| value == n * 10));
            }));
            let clearing = map.clone();
            goroutines.push(go(async move { clearing.clear() }));
        }
        all(goroutines).await;
        map.clear();
        map.range(|key, _| panic!("{key} after a clear"));
    });
}

/// map_bench_test.go: BenchmarkLoadOrStoreUnique and its Balanced sister, as a promise: of many that
/// store under one key one wins, and all see its value.
#[test]
fn of_many_that_store_under_one_key_one_wins() {
    run(4, || async {
        for _ in 0..rounds(200, 3) {
            let map = Arc::new(Map::new());
            let storing: Vec<_> = (0..8)
                .map(|n| {
                    let map = map.clone();
                    go(async move { map.load_or_store("key", n) })
                })
                .collect();
            let got = all(storing).await;
            let winner = map.load("key").unwrap();
            assert!(got.iter().all(|(value, _)| *value == winner));
            assert_eq!(got.iter().filter(|(_, loaded)| !loaded).count(), 1);
        }
    });
}
