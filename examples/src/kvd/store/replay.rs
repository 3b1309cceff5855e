//! Rebuilding a shard's data from the log.

use std::io;
use std::path::Path;

use super::super::command::{self, Route};
use super::super::disk::Contents;
use super::super::log::{self, Scan};
use super::super::resp::Parser;
use super::{Exec, Place, Store};

impl Store {
    /// Replays what the first `len` bytes of the log at `path` hold for this place.
    pub(crate) fn load(
        contents: &mut dyn Contents,
        len: u64,
        path: &Path,
        place: Place,
        value_bytes_max: usize,
    ) -> io::Result<(Self, Scan)> {
        let mut store = Self::new(place, value_bytes_max);
        let mut parser = Parser::new(u32::MAX as usize);
        let mut out = Vec::new();
        let wanted = |hash: log::KeyHash| hash.concerns(place.index, place.of);
        let scan = log::scan(contents, len, path, wanted, |payload| {
            out.clear();
            store.replay(payload, &mut parser, &mut out);
        })?;
        Ok((store, scan))
    }

    /// Runs one record. Its checksum was right, so it is what some kvd wrote; a command that this
    /// version does not know is passed over.
    fn replay(&mut self, payload: &[u8], parser: &mut Parser, out: &mut Vec<u8>) {
        let Ok(Some(_)) = parser.parse(payload) else {
            return;
        };
        let args = parser.args(payload);
        let Ok(spec) = command::resolve(args) else {
            return;
        };
        if let Route::Key(op) | Route::EachKey { op, .. } | Route::Everyone(op, _) = spec.route {
            self.execute(
                op,
                args,
                &mut Exec {
                    now: 0,
                    out,
                    log: None,
                },
            );
        }
    }
}
