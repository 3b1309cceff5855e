//! The stress of the benches, for a moment: every `cargo test` runs some of its operations, and the
//! sanitizers' scripts more. Without a harness, so that nothing but it runs.

#[path = "../../benches/src/bin/stress.rs"]
mod stress;

fn main() {
    // Arguments are those of `stress`, or of a `cargo test` that filters; the latter start otherwise.
    if std::env::args()
        .nth(1)
        .is_some_and(|arg| arg == "--ops" || arg == "--seed")
    {
        stress::main();
    } else {
        stress::run(100_000, 1);
    }
}
