//! Mocks of unusual protocols, with all warnings on.
#![deny(warnings, missing_docs, unreachable_pub)]
#![deny(clippy::all, clippy::pedantic)]

use actor_core::prelude::*;

mod private {
    use actor_core::prelude::*;

    pub(super) type Shown<T> = Result<T, String>;

    #[derive(Debug, Clone)]
    pub(super) struct Nothing;

    #[protocol(mock)]
    pub(super) trait Odd {
        fn new_name(&self);
        fn calls(&self) -> Vec<Nothing>;
        fn handle(&self, r#fn: Box<str>, answer: u8, log: u8) -> Shown<Nothing>;
        fn many(&self, a: u8, b: u8, c: u8, d: u8, e: u8, f: u8, g: u8, h: u8) -> (u8, u8);
        fn pair(&self, pair: (u8, Option<u8>)) -> Result<(), Nothing>;
    }
}

/// Seen from outside.
#[protocol(mock = Fake)]
pub trait Empty {}

fn main() {
    let odd = private::MockOdd::new()
        .on_new_name(|| ())
        .on_calls(Vec::new)
        .on_handle(|_, _, _| Ok(private::Nothing))
        .on_many(|a, _, _, _, _, _, _, h| (a, h))
        .on_pair(|(_, _)| Err(private::Nothing));
    actor_core::Runtime::new().unwrap().run(async move {
        let handle: private::OddRef = odd.handle();
        handle.pair((1, None)).await.unwrap_err();
        assert_eq!(handle.many(1, 2, 3, 4, 5, 6, 7, 8).await, Ok((1, 8)));
        handle.handle("x".into(), 1, 2).await.unwrap().unwrap();
        let all = ["pair((1, None))", "many(1, 2, 3, 4, 5, 6, 7, 8)", "handle(\"x\", 1, 2)"];
        assert_eq!(odd.calls(), all);
        assert_eq!(odd.expect_pair().await, (1, None));
    });
    let _: EmptyRef = Fake::new().handle();
}
