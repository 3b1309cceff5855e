#[actor_core::main]
fn main() -> Result<(), String> {
    Ok(())
}

#[actor_core::test]
fn adds() {}
