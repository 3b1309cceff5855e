use actor_core::{chan::Receiver, select};

async fn waits(rx: Receiver<u8>) {
    select! {
        rx.recv() => {}
    }
}

fn main() {}
