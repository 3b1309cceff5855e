//! Every mistake that the macros can see is pinned with the words that a user reads, one file of
//! `ui/` each, and what looks unusual and is right must compile (`ui/pass`).
//!
//! After a change of words: `TRYBUILD=overwrite cargo test -p actor-macros --test ui`, then read
//! the difference as a user would.

#[test]
fn mistakes_are_explained_and_unusual_code_compiles() {
    let cases = trybuild::TestCases::new();
    cases.pass("tests/ui/pass/*.rs");
    cases.compile_fail("tests/ui/*.rs");
}
