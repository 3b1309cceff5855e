use actor_core::actor::Batch;
use actor_core::prelude::*;

pub struct Store;

#[actor]
impl Store {
    #[init]
    fn new() -> Self {
        Store
    }

    #[batch]
    pub fn plain(&mut self, row: u64) {
        let _ = row;
    }

    #[batch]
    pub fn by_value(&mut self, rows: Batch<u64>) {
        let _ = rows;
    }

    #[batch]
    pub fn two(&mut self, rows: &mut Batch<u64>, more: u64) {
        let _ = (rows, more);
    }

    #[batch]
    pub fn answers(&mut self, rows: &mut Batch<u64>) -> u64 {
        rows.len() as u64
    }

    #[batch]
    pub fn fails(&mut self, rows: &mut Batch<u64, Result<u64, String>>) {
        let _ = rows;
    }

    #[batch(max = 1)]
    pub fn single(&mut self, rows: &mut Batch<u64>) {
        let _ = rows;
    }

    #[batch]
    pub fn borrowed(&mut self, rows: &mut Batch<&str>) {
        let _ = rows;
    }
}

fn main() {}
