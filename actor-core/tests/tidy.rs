//! The house rules, as a test: layering, lonely files, sizes that got out of hand, missing reasons.

use std::fs;
use std::path::{Path, PathBuf};

/// Layers from the bottom up; a file may name its own layer and those before it.
const LAYERS: [&str; 9] = [
    "sched",
    "chan",
    "sync",
    "actor",
    "supervise",
    "router",
    "daemon",
    "testkit",
    "sim",
];

fn src() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn files(dir: &Path, out: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, out);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            out.push(path);
        }
    }
}

fn sources() -> Vec<(PathBuf, String)> {
    let mut all = Vec::new();
    files(&src(), &mut all);
    all.sort();
    all.into_iter()
        .map(|path| (path.clone(), fs::read_to_string(path).unwrap()))
        .collect()
}

/// Code lines only: no comments, so that prose may name what it likes.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines()
        .enumerate()
        .filter(|(_, line)| !line.trim_start().starts_with("//"))
        .map(|(n, line)| (n + 1, line))
}

fn check(faults: Vec<String>) {
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn a_layer_uses_only_those_below_it() {
    let mut faults = Vec::new();
    for (path, text) in sources() {
        let within = path.strip_prefix(src()).unwrap();
        let first = within
            .components()
            .next()
            .unwrap()
            .as_os_str()
            .to_str()
            .unwrap();
        let Some(rank) = LAYERS.iter().position(|layer| *layer == first) else {
            continue;
        };
        for (n, line) in code(&text) {
            for above in &LAYERS[rank + 1..] {
                if line.contains(&format!("crate::{above}::")) {
                    faults.push(format!(
                        "{}:{n} names the layer above it: {above}",
                        within.display()
                    ));
                }
            }
        }
    }
    check(faults);
}

#[test]
fn atomics_and_the_clock_come_through_the_shim() {
    // std's atomics: statics (loom has none) and a parked foreign thread.
    const STD_ATOMICS: [&str; 7] = [
        "shim.rs",
        "sched/runtimes.rs",
        "sched/simulated.rs",
        "sched/thread_park.rs",
        "sched/working.rs",
        "actor/",
        "sync/pool.rs",
    ];
    let mut faults = Vec::new();
    for (path, text) in sources() {
        let within = path
            .strip_prefix(src())
            .unwrap()
            .to_str()
            .unwrap()
            .to_owned();
        let in_tests = within.ends_with("_tests.rs") || within.ends_with("loom_models.rs");
        if in_tests {
            continue;
        }
        let body = text.split("#[cfg(all(test").next().unwrap();
        for (n, line) in code(body) {
            if line.contains("std::sync::atomic")
                && !STD_ATOMICS.iter().any(|ok| within.starts_with(ok))
            {
                faults.push(format!("{within}:{n} names std's atomics, not the shim's"));
            }
            if line.contains("std::time::Instant") && within != "sched/clock.rs" {
                faults.push(format!("{within}:{n} reads std's clock, not ours"));
            }
        }
    }
    check(faults);
}

#[test]
fn every_file_says_what_it_is_for_and_belongs_to_a_module() {
    let mut faults = Vec::new();
    for (path, text) in sources() {
        let within = path.strip_prefix(src()).unwrap();
        if !text.starts_with("//! ") {
            faults.push(format!(
                "{} does not begin with what it is for",
                within.display()
            ));
        }
        let name = path.file_stem().unwrap().to_str().unwrap();
        if ["utils", "common", "helpers", "misc"].contains(&name) {
            faults.push(format!("{}: a name that says nothing", within.display()));
        }
        if name == "mod" || name == "lib" {
            continue;
        }
        let parent = path.with_file_name("mod.rs");
        let parent = if parent.exists() {
            parent
        } else {
            src().join("lib.rs")
        };
        if !fs::read_to_string(&parent)
            .unwrap()
            .contains(&format!("mod {name};"))
        {
            faults.push(format!("{} belongs to no module", within.display()));
        }
    }
    check(faults);
}

#[test]
fn no_file_needs_a_map() {
    let mut faults = Vec::new();
    for (path, text) in sources() {
        let lines = text.lines().count();
        if lines > 950 {
            let within = path.strip_prefix(src()).unwrap();
            faults.push(format!("{}: {lines} lines; split it", within.display()));
        }
    }
    check(faults);
}

#[test]
fn weaker_orderings_in_the_state_words_name_their_reason() {
    let mut faults = Vec::new();
    for file in [
        "sched/state.rs",
        "sched/ring.rs",
        "sched/processor.rs",
        "chan/word_lock.rs",
    ] {
        let text = fs::read_to_string(src().join(file)).unwrap();
        let lines: Vec<_> = text.lines().collect();
        for (n, line) in lines.iter().enumerate() {
            if !["Ordering::Acquire", "Ordering::Release", "Ordering::AcqRel"]
                .iter()
                .any(|ordering| line.contains(ordering))
            {
                continue;
            }
            let start = n.saturating_sub(20);
            if !lines[start..=n]
                .iter()
                .any(|above| above.contains("ORDERING"))
            {
                faults.push(format!(
                    "{file}:{} has an ordering without its partner",
                    n + 1
                ));
            }
        }
    }
    check(faults);
}

#[test]
fn the_book_has_every_chapter_it_lists_and_lists_every_chapter() {
    let book = Path::new(env!("CARGO_MANIFEST_DIR")).join("../book/src");
    let summary = fs::read_to_string(book.join("SUMMARY.md")).unwrap();
    let tests = fs::read_to_string(book.join("../../examples/src/lib.rs")).unwrap();
    for entry in fs::read_dir(&book).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if name != "SUMMARY.md" {
            assert!(
                summary.contains(&format!("({name})")),
                "{name} is not in SUMMARY.md"
            );
            assert!(
                tests.contains(&name),
                "the samples of {name} are not run by examples/src/lib.rs"
            );
        }
    }
    for link in summary.split("](").skip(1) {
        let name = link.split(')').next().unwrap();
        assert!(
            book.join(name).exists(),
            "SUMMARY.md lists {name}, which is not there"
        );
    }
}

#[test]
fn the_simulated_tests_of_readme_and_book_are_run_by_sim_samples() {
    let core = Path::new(env!("CARGO_MANIFEST_DIR"));
    let plain = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let run = plain(&fs::read_to_string(core.join("tests/sim_samples.rs")).unwrap());
    let mut documents = vec![core.join("../README.md")];
    for entry in fs::read_dir(core.join("../book/src")).unwrap() {
        documents.push(entry.unwrap().path());
    }
    let (mut samples, mut faults) = (0, Vec::new());
    for document in documents {
        let text = fs::read_to_string(&document).unwrap();
        // From the attribute to the brace that closes the function; not where prose names it.
        for (at, _) in text.match_indices("\n#[actor_core::test(sim") {
            let end = at + text[at..].find("\n}").expect("a function has an end") + 2;
            samples += 1;
            if !run.contains(&plain(&text[at..end])) {
                faults.push(format!("{}:{}", document.display(), &text[at..end]));
            }
        }
    }
    assert!(samples >= 2, "the samples were not found");
    check(faults);
}
