use actor_core::{chan::Receiver, select};

async fn no_arrow(rx: Receiver<u8>) {
    select! {
        _ = rx.recv(),
        default => {}
    }
}

async fn nothing_after_it(rx: Receiver<u8>) {
    select! {
        _ = rx.recv() =>
    }
}

fn main() {}
