use actor_core::select;

async fn waits() {
    select! {
        _ = async {} => {}
        _ = async {} => {}
        _ = async {} => {}
        _ = async {} => {}
        _ = async {} => {}
        _ = async {} => {}
        _ = async {} => {}
        _ = async {} => {}
        _ = async {} => {}
        _ = async {} => {}
        _ = async {} => {}
        _ = async {} => {}
        _ = async {} => {}
        _ = async {} => {}
        _ = async {} => {}
        _ = async {} => {}
        _ = async {} => {}
        _ = async {} => {}
        _ = async {} => {}
        _ = async {} => {}
        _ = async {} => {}
        _ = async {} => {}
        _ = async {} => {}
        _ = async {} => {}
        _ = async {} => {}
        _ = async {} => {}
        _ = async {} => {}
        _ = async {} => {}
        _ = async {} => {}
        _ = async {} => {}
        _ = async {} => {}
        _ = async {} => {}
        _ = async {} => {}
        _ = async {} => {}
        _ = async {} => {}
        _ = async {} => {}
        _ = async {} => {}
        _ = async {} => {}
        _ = async {} => {}
        _ = async {} => {}
        _ = async {} => {}
        _ = async {} => {}
        _ = async {} => {}
        _ = async {} => {}
        _ = async {} => {}
        _ = async {} => {}
        _ = async {} => {}
        _ = async {} => {}
        _ = async {} => {}
        _ = async {} => {}
        _ = async {} => {}
        _ = async {} => {}
        _ = async {} => {}
        _ = async {} => {}
        _ = async {} => {}
        _ = async {} => {}
        _ = async {} => {}
        _ = async {} => {}
        _ = async {} => {}
        _ = async {} => {}
        _ = async {} => {}
        _ = async {} => {}
        _ = async {} => {}
        _ = async {} => {}
        _ = async {} => {}
    }
}

fn main() {}
