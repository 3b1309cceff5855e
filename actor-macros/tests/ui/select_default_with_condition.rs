use actor_core::{chan::Receiver, select};

async fn waits(rx: Receiver<u8>, open: bool) {
    select! {
        _ = rx.recv() => {}
        default, if open => {}
    }
}

fn main() {}
