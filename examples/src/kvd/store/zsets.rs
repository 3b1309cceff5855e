//! Sorted sets: members ordered by score, then by their bytes.

use std::cmp::Ordering;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::{Args, Exec, Fail, Store, pop_count, reply};

/// A score; never NaN, so its order is total.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Score(f64);

impl Eq for Score {}

impl PartialOrd for Score {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Score {
    fn cmp(&self, other: &Self) -> Ordering {
        // -0.0 and 0.0 are one score, as they are for `==`.
        self.0.partial_cmp(&other.0).unwrap_or(Ordering::Equal)
    }
}

/// A member's bytes are shared by both indexes.
#[derive(Debug, Default)]
pub(super) struct ZSet {
    scores: HashMap<Arc<[u8]>, Score>,
    ranks: BTreeSet<(Score, Arc<[u8]>)>,
}

impl ZSet {
    pub(super) fn len(&self) -> usize {
        self.scores.len()
    }

    fn insert(&mut self, member: &[u8], score: Score) {
        let shared = match self.scores.get_key_value(member) {
            Some((shared, &before)) => {
                let shared = Arc::clone(shared);
                self.ranks.remove(&(before, Arc::clone(&shared)));
                shared
            }
            None => member.into(),
        };
        self.scores.insert(Arc::clone(&shared), score);
        self.ranks.insert((score, shared));
    }

    fn pop_min(&mut self) -> Option<(Score, Arc<[u8]>)> {
        let (score, member) = self.ranks.pop_first()?;
        self.scores.remove(&member);
        Some((score, member))
    }
}

#[derive(Default)]
struct AddOptions {
    only_new: bool,
    only_present: bool,
    greater: bool,
    less: bool,
    count_changed: bool,
    increment: bool,
    /// The first argument that is no option.
    pairs_from: usize,
}

impl AddOptions {
    fn parse(args: Args<'_>) -> Result<Self, Fail> {
        let mut options = Self {
            pairs_from: 2,
            ..Self::default()
        };
        for word in args.from(2) {
            let option = match word.to_ascii_lowercase().as_slice() {
                b"nx" => &mut options.only_new,
                b"xx" => &mut options.only_present,
                b"gt" => &mut options.greater,
                b"lt" => &mut options.less,
                b"ch" => &mut options.count_changed,
                b"incr" => &mut options.increment,
                _ => break,
            };
            *option = true;
            options.pairs_from += 1;
        }
        let words = args.len() - options.pairs_from;
        if words == 0 || words % 2 == 1 {
            return Err(Fail::SYNTAX);
        }
        if options.only_new && options.only_present {
            let text = "ERR XX and NX options at the same time are not compatible";
            return Err(Fail::text(text));
        }
        if (options.greater && options.less)
            || (options.only_new && (options.greater || options.less))
        {
            let text = "ERR GT, LT, and/or NX options at the same time are not compatible";
            return Err(Fail::text(text));
        }
        if options.increment && words != 2 {
            return Err(Fail::text(
                "ERR INCR option supports a single increment-element pair",
            ));
        }
        Ok(options)
    }

    fn allows(&self, before: Option<Score>, after: Score) -> bool {
        match before {
            None => !self.only_present,
            Some(before) => {
                !(self.only_new
                    || (self.greater && after <= before)
                    || (self.less && after >= before))
            }
        }
    }
}

impl Store {
    pub(super) fn zadd(&mut self, args: Args<'_>, x: &mut Exec<'_>) -> Result<(), Fail> {
        let options = AddOptions::parse(args)?;
        let key = args.at(1);
        // All scores are read before the first is applied: an error changes nothing.
        let mut scores = Vec::with_capacity((args.len() - options.pairs_from) / 2);
        for score in args.from(options.pairs_from).step_by(2) {
            scores.push(parse_score(score)?);
        }
        self.zset(key, x)?;
        let zset = self.zset_or_new(key, x)?;
        let (mut added, mut changed, mut result, mut fail) = (0, 0, None, None);
        let members = args.from(options.pairs_from + 1).step_by(2);
        for (mut score, member) in scores.into_iter().zip(members) {
            let before = zset.scores.get(member).copied();
            if options.increment {
                score = Score(score.0 + before.map_or(0.0, |before| before.0));
                if score.0.is_nan() {
                    fail = Some(Fail::text("ERR resulting score is not a number (NaN)"));
                    break;
                }
            }
            if !options.allows(before, score) {
                continue;
            }
            result = Some(score);
            if before != Some(score) {
                zset.insert(member, score);
                changed += 1;
                added += usize::from(before.is_none());
            }
        }
        self.remove_if_empty(key);
        if changed > 0 {
            x.log_args(args);
        }
        match (fail, options.increment, result) {
            (Some(fail), ..) => return Err(fail),
            (None, true, Some(score)) => reply::bulk(x.out, format_score(score).as_bytes()),
            (None, true, None) => reply::nil(x.out),
            (None, false, _) => {
                reply::count(
                    x.out,
                    if options.count_changed {
                        changed
                    } else {
                        added
                    },
                );
            }
        }
        Ok(())
    }

    pub(super) fn zcard(&mut self, args: Args<'_>, x: &mut Exec<'_>) -> Result<(), Fail> {
        let len = self.zset(args.at(1), x)?.map_or(0, |zset| zset.len());
        reply::count(x.out, len);
        Ok(())
    }

    pub(super) fn zscore(&mut self, args: Args<'_>, x: &mut Exec<'_>) -> Result<(), Fail> {
        let score = self
            .zset(args.at(1), x)?
            .and_then(|zset| zset.scores.get(args.at(2)).copied());
        match score {
            Some(score) => reply::bulk(x.out, format_score(score).as_bytes()),
            None => reply::nil(x.out),
        }
        Ok(())
    }

    pub(super) fn zpopmin(&mut self, args: Args<'_>, x: &mut Exec<'_>) -> Result<(), Fail> {
        let count = pop_count(args)?.unwrap_or(1);
        let key = args.at(1);
        let Some(zset) = self.zset(key, x)? else {
            reply::array(x.out, 0);
            return Ok(());
        };
        let taken = count.min(zset.len());
        reply::array(x.out, taken * 2);
        for _ in 0..taken {
            if let Some((score, member)) = zset.pop_min() {
                reply::bulk(x.out, &member);
                reply::bulk(x.out, format_score(score).as_bytes());
            }
        }
        if taken > 0 {
            self.remove_if_empty(key);
            x.log_args(args);
        }
        Ok(())
    }
}

fn parse_score(text: &[u8]) -> Result<Score, Fail> {
    let score: Option<f64> = std::str::from_utf8(text)
        .ok()
        .and_then(|text| text.parse().ok());
    score
        .filter(|score| !score.is_nan())
        .map(Score)
        .ok_or(Fail::NOT_FLOAT)
}

/// The shortest text that reads back as the score; huge and tiny ones with an exponent.
fn format_score(Score(score): Score) -> String {
    let size = score.abs();
    if size.is_finite() && size != 0.0 && !(1e-5..1e17).contains(&size) {
        let text = format!("{score:e}");
        if size >= 1.0 {
            text.replace('e', "e+")
        } else {
            text
        }
    } else {
        format!("{}", score + 0.0)
    }
}
