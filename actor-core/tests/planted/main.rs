//! The planted bugs, quickly: each is found, and not where it isn't. The bin `planted`
//! of the benches does it at length.

mod plants;

use plants::{ALL, WAYS};

#[test]
fn each_planted_bug_is_found_within_its_seeds() {
    for plant in &ALL {
        for way in WAYS {
            if let Err(why) = plant.find(way, 0, false) {
                panic!("{why}");
            }
        }
    }
}

#[test]
fn nothing_is_found_with_the_bugs_turned_off() {
    for plant in &ALL {
        for way in WAYS {
            if let Err(failure) = plant.passes(way, 200) {
                panic!("{failure}");
            }
        }
    }
}
