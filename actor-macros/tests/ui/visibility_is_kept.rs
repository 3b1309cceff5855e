mod inner {
    use actor_core::prelude::*;

    pub struct Bank;

    #[actor]
    impl Bank {
        #[init]
        fn new() -> Self {
            Bank
        }

        pub fn open(&mut self) {}

        pub(in crate::inner) fn hidden(&mut self) {}
    }
}

fn use_it(bank: &inner::BankRef) {
    drop(bank.open());
    drop(bank.hidden());
}

fn main() {}
