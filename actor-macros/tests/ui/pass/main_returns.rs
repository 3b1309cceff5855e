//! What `main` may return, without `Send`; `?` needs no annotations.
#![deny(warnings)]

mod quiet {
    #[actor_core::main]
    pub async fn main() {}
}

mod coded {
    /// With a number of processors.
    #[actor_core::main(procs = 2)]
    pub async fn main() -> std::process::ExitCode {
        std::process::ExitCode::SUCCESS
    }
}

#[actor_core::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let three: u8 = "3".parse()?;
    assert_eq!(three, 3);
    let _ = (quiet::main, coded::main);
    if three == 4 {
        return Err("four".into());
    }
    Ok(())
}
