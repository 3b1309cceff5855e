use actor_core::prelude::*;

pub struct Bank;

#[actor]
impl Bank {
    #[init]
    fn new() -> Self {
        Bank
    }

    pub fn rename(&mut self, name: &str) {
        let _ = name;
    }

    pub fn store(&mut self, bytes: &[u8], to: &std::path::Path) {
        let _ = (bytes, to);
    }

    pub fn named<'a>(&mut self, items: Vec<&'a u64>) {
        let _ = items;
    }

    pub fn maybe(&mut self, text: std::borrow::Cow<'_, str>) {
        let _ = text;
    }

    pub fn fine(&mut self, text: &'static str, f: fn(&str) -> &str, g: Box<dyn Fn(&str) + Send>) {
        let _ = (text, f);
        drop(g);
    }
}

fn main() {}
