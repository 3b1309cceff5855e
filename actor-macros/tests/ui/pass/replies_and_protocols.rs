//! Replies, protocols and concurrent handlers in unusual shapes.
use actor_core::actor::Reply as Answer;
use actor_core::prelude::*;

/// With docs, attributes and a name of Rust's own.
#[protocol(handle = Odd)]
pub(crate) trait r#Type: std::fmt::Debug {
    #[deprecated]
    fn r#match(&self, r#fn: u64, _: u8) -> std::io::Result<u64>;
    #[cfg(any())]
    fn absent(&self);
    fn unit(&self) -> ();
}

#[protocol]
trait Empty {}

struct Bank {
    kept: Vec<(u64, Answer<u64>)>,
}

#[actor(protocol = Type, when_unreferenced = keep)]
impl Bank {
    #[init]
    fn new() -> Self {
        Bank { kept: Vec::new() }
    }
    pub async fn r#match(
        &mut self,
        r#fn: u64,
        reply: actor_core::actor::Reply<std::io::Result<u64>>,
        _: u8,
        ctx: &Ctx<Self>,
    ) {
        let _ = ctx;
        reply.send(Ok(r#fn));
    }
    #[cfg(any())]
    pub fn absent(&mut self) {}
    pub fn unit(&mut self, _: Reply<()>) {}
    #[provides(Lonely)]
    pub fn keep(&mut self, in_a_tuple: (u64, Answer<u64>)) {
        self.kept.push(in_a_tuple);
    }
    #[concurrent(max = LIMIT)]
    #[cfg(all())]
    #[provides(Lonely)]
    pub async fn look(self: &Self, ctx: &Ctx<Self>, reply: Reply<Result<usize, String>>) {
        let _ = ctx;
        reply.send(Ok(self.kept.len()));
    }
}

const LIMIT: usize = 3;

#[protocol]
trait Lonely {
    fn keep(&self, pair: (u64, Answer<u64>));
    fn look(&self) -> Result<usize, String>;
}

fn main() {
    actor_core::Runtime::new().unwrap().block_on(async {
        let bank = Bank::start().await.unwrap();
        let odd = Odd::from(bank.clone());
        #[allow(deprecated)]
        let n = odd.r#match(3, 0).await.unwrap();
        assert_eq!(n, 3);
        assert_eq!(odd.unit().await, Err(CallError::NoReply));
        assert_eq!(LonelyRef::from(bank).look().await, Ok(0));
    });
}
