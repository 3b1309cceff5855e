use actor_core::{chan::Receiver, select};

async fn waits(rx: Receiver<u8>) {
    select! {
        biased;
        biased;
        _ = rx.recv() => {}
        default => {}
        default => {}
        else => {}
        else => {}
    }
}

async fn too_late(rx: Receiver<u8>) {
    select! {
        _ = rx.recv() => {}
        biased;
    }
}

fn main() {}
