#[actor_core::test]
struct Thing;

fn main() {}
