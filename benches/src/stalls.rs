//! Loads that wait for stores, found in a trace of all memory accesses as valgrind's lackey prints it.
//!
//! What a core loads is often still in its queue of stores. If one store has all of it the core takes it from
//! there; if not, it waits until the stores have left for the cache: a dozen cycles, on the path of every
//! message if a message is moved like that. Compilers don't know: they move a value in pieces of 16 bytes
//! that was just written in pieces of 8.

use std::collections::{BTreeMap, VecDeque};

/// A store that is more instructions old than this has left for the cache.
const FRESH: u64 = 60;

#[derive(Debug)]
struct Store {
    from: u64,
    to: u64,
    instruction: u64,
}

/// Reads a trace, line by line.
#[derive(Debug)]
pub struct Finder {
    /// The addresses of two functions: what is between a call of each is counted.
    begin: u64,
    end: u64,
    counting: bool,
    at: u64,
    instructions: u64,
    /// The latest first.
    stores: VecDeque<Store>,
    /// By the instruction's address, of each stretch.
    found: Vec<BTreeMap<u64, u64>>,
}

impl Finder {
    /// Between calls of the functions at these addresses.
    pub fn new(begin: u64, end: u64) -> Self {
        Self {
            begin,
            end,
            counting: false,
            at: 0,
            instructions: 0,
            stores: VecDeque::new(),
            found: Vec::new(),
        }
    }

    /// How often each instruction waited, by its address, in each stretch between the two functions.
    pub fn found(self) -> Vec<BTreeMap<u64, u64>> {
        self.found
    }

    /// Takes one line; lines that are no accesses are passed over.
    pub fn line(&mut self, line: &str) {
        let Some((kind, (address, size))) = access(line) else {
            return;
        };
        match kind {
            "I" => self.instruction(address),
            "L" => self.load(address, address + size),
            "S" => self.store(address, address + size),
            "M" => {
                self.load(address, address + size);
                self.store(address, address + size);
            }
            _ => {}
        }
    }

    fn instruction(&mut self, address: u64) {
        self.at = address;
        self.instructions += 1;
        if address == self.begin {
            self.counting = true;
            self.found.push(BTreeMap::new());
        } else if address == self.end {
            self.counting = false;
        }
    }

    fn load(&mut self, from: u64, to: u64) {
        let oldest = self.instructions.saturating_sub(FRESH);
        let mut fresh = self.stores.iter().take_while(|s| s.instruction >= oldest);
        let waits = fresh
            .find(|store| store.from < to && from < store.to)
            .is_some_and(|latest| from < latest.from || latest.to < to);
        if let Some(found) = self.found.last_mut().filter(|_| waits && self.counting) {
            *found.entry(self.at).or_default() += 1;
        }
    }

    fn store(&mut self, from: u64, to: u64) {
        let instruction = self.instructions;
        self.stores.push_front(Store {
            from,
            to,
            instruction,
        });
        self.stores.truncate(FRESH as usize);
    }
}

/// `I  04a19407,2`: the kind, and address and size.
fn access(line: &str) -> Option<(&str, (u64, u64))> {
    let (kind, rest) = line.trim_start().split_once(' ')?;
    let (address, size) = rest.trim_start().split_once(',')?;
    let address = u64::from_str_radix(address, 16).ok()?;
    Some((kind, (address, size.parse().ok()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waits(lines: &[&str]) -> usize {
        let mut finder = Finder::new(0x10, 0x20);
        finder.line("I  00000010,1");
        lines.iter().for_each(|line| finder.line(line));
        let found = finder.found();
        assert_eq!(found.len(), 1);
        found[0].len()
    }

    #[test]
    fn a_load_waits_for_a_store_that_has_a_part_of_it_only() {
        assert_eq!(
            waits(&["I  100,4", " S 8000,8", "I  104,4", " L 8000,16"]),
            1
        );
        assert_eq!(
            waits(&["I  100,4", " S 8000,16", "I  104,4", " L 8008,8"]),
            0
        );
        assert_eq!(
            waits(&["I  100,4", " S 8000,8", "I  104,4", " L 8008,8"]),
            0
        );
        let two = [
            "I  100,4",
            " S 8000,8",
            " S 8008,8",
            "I  104,4",
            " L 8000,16",
        ];
        assert_eq!(waits(&two), 1);
    }

    #[test]
    fn the_latest_store_counts_and_an_old_one_does_not() {
        let whole = [" S 8000,8", " S 8000,16", "I  104,4", " L 8000,16"];
        assert_eq!(waits(&whole), 0);
        let mut late = vec!["I  100,4", " S 8000,8"];
        late.extend(["I  104,4"; 61]);
        late.push(" L 8000,16");
        assert_eq!(waits(&late), 0);
    }

    #[test]
    fn what_is_not_between_the_marks_and_what_is_no_access_is_passed_over() {
        let mut finder = Finder::new(0x10, 0x20);
        let stall = [" S 8000,8", "I  104,4", " L 8000,16"];
        let mut feed = |lines: &[&str]| lines.iter().for_each(|line| finder.line(line));
        feed(&stall);
        feed(&["I  10,1", "==42== Lackey", "", "marks a b"]);
        feed(&stall);
        feed(&stall);
        feed(&["I  20,1"]);
        feed(&stall);
        feed(&["I  10,1", "I  20,1"]);
        assert_eq!(
            finder.found(),
            [BTreeMap::from([(0x104, 2)]), BTreeMap::new()]
        );
    }
}
