use actor_core::{chan::Receiver, select};

async fn waits(rx: Receiver<u8>) {
    select! {
        v = rx.recv() => v,
        default => 5,
    };
}

fn main() {}
