use actor_core::{chan::Receiver, select};

async fn waits(rx: Receiver<u8>) {
    select! {
        _ = rx.recv() => {}
        _ = 5 => {}
    }
}

fn main() {}
