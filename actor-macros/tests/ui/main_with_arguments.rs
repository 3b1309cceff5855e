#[actor_core::main(procs = 0, threads = 2)]
async fn main(args: Vec<String>) {
    drop(args);
}
