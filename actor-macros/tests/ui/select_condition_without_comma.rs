use actor_core::{chan::Receiver, select};

async fn waits(rx: Receiver<u8>, open: bool) {
    select! {
        _ = rx.recv() if open => {}
        default => {}
    }
}

fn main() {}
