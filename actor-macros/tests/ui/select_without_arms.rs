use actor_core::select;

async fn waits() {
    select! {}
}

async fn biased() {
    select! {
        biased;
        else => {}
    }
}

fn main() {}
