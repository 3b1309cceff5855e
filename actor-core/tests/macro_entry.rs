//! What `#[main]` and `#[test]` promise: the body is a goroutine, its result is the exit code, its
//! panic is the caller's.

use std::error::Error;
use std::process::ExitCode;

use actor_core::prelude::*;

#[actor_core::main]
async fn fine() -> Result<(), Box<dyn Error>> {
    let n: u8 = "3".parse()?;
    assert_eq!(go(async move { n + 1 }).await?, 4);
    Ok(())
}

#[actor_core::main(procs = 1)]
async fn failing() -> Result<(), Box<dyn Error>> {
    yield_now().await;
    Err("on purpose: this line is part of a test".into())
}

#[actor_core::main]
async fn coded() -> ExitCode {
    ExitCode::from(7)
}

#[actor_core::main]
async fn silent() {
    panic!("reached the caller");
}

#[test]
fn main_returns_what_rusts_own_main_would() {
    assert_eq!(fine(), ExitCode::SUCCESS);
    assert_eq!(failing(), ExitCode::FAILURE);
    assert_eq!(coded(), ExitCode::from(7));
}

#[test]
#[should_panic = "reached the caller"]
fn a_panic_of_main_ends_the_program() {
    silent();
}

#[actor_core::test]
async fn a_test_may_use_the_question_mark() -> Result<(), Box<dyn Error>> {
    let n: u8 = "3".parse()?;
    assert_eq!(n, 3);
    Ok(())
}

#[actor_core::test(procs = 1)]
#[should_panic = "as expected"]
async fn a_test_keeps_its_other_attributes() {
    yield_now().await;
    panic!("as expected");
}

const TWO: usize = 2;

#[actor_core::test(procs = TWO)]
async fn the_number_of_processors_may_be_a_constant() {
    assert_eq!(go(async { 1 }).await.unwrap(), 1);
}
