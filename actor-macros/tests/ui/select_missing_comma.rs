use actor_core::{chan::Receiver, select};

async fn waits(rx: Receiver<u8>) {
    let _: u8 = select! {
        v = rx.recv() => v.unwrap()
        default => 0
    };
}

fn main() {}
