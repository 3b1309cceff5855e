//! Redis' glob patterns (`KEYS`, `SCAN MATCH`, `CONFIG GET`): `*`, `?`, `[a-z]`, `[^x]`, `\` escapes.
//!
//! A star remembers only its latest position and backs up to it, so a match takes at most
//! `pattern * text` steps: no pattern makes a shard hang, as a recursive matcher would.

/// Whether the whole of `text` matches `pattern`.
pub(crate) fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    // After a star: where its pattern goes on, and the text position tried last.
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        if pattern.get(p) == Some(&b'*') {
            star = Some((p + 1, t));
            p += 1;
        } else if let Some(len) = one(&pattern[p..], text[t]) {
            p += len;
            t += 1;
        } else if let Some((after, tried)) = star {
            star = Some((after, tried + 1));
            p = after;
            t = tried + 1;
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|&b| b == b'*')
}

/// Matches one byte against the pattern's first element and gives that element's length.
fn one(pattern: &[u8], byte: u8) -> Option<usize> {
    match pattern {
        [] => None,
        [b'?', ..] => Some(1),
        [b'[', class @ ..] => one_of(class, byte).map(|len| len + 1),
        [b'\\', escaped, ..] => (*escaped == byte).then_some(2),
        [plain, ..] => (*plain == byte).then_some(1),
    }
}

fn one_of(class: &[u8], byte: u8) -> Option<usize> {
    let negated = class.first() == Some(&b'^');
    let (mut i, mut found) = (usize::from(negated), false);
    loop {
        match class[i.min(class.len())..] {
            // As in Redis, an open class ends with the pattern.
            [] | [b']', ..] => break,
            [b'\\', escaped, ..] => {
                found |= escaped == byte;
                i += 2;
            }
            [low, b'-', high, ..] if high != b']' => {
                found |= (low.min(high)..=low.max(high)).contains(&byte);
                i += 3;
            }
            [plain, ..] => {
                found |= plain == byte;
                i += 1;
            }
        }
    }
    (found != negated).then_some((i + 1).min(class.len()))
}

#[cfg(test)]
mod tests {
    use super::matches;
    use proptest::prelude::*;

    #[test]
    fn patterns_mean_what_redis_says() {
        let yes = [
            ("*", ""),
            ("*", "abc"),
            ("h?llo", "hello"),
            ("h*llo", "heeeello"),
            ("a*b*c", "aXbYbZc"),
            ("h[ae]llo", "hallo"),
            ("h[^e]llo", "hbllo"),
            ("h[a-c]llo", "hbllo"),
            ("h[c-a]", "hb"),
            ("\\*", "*"),
            ("[\\]]", "]"),
            ("a**", "a"),
            ("[ab", "a"),
            ("user:*:name", "user:7:name"),
        ];
        for (pattern, text) in yes {
            assert!(
                matches(pattern.as_bytes(), text.as_bytes()),
                "{pattern} {text}"
            );
        }
        let no = [
            ("", "a"),
            ("?", ""),
            ("h?llo", "hllo"),
            ("h[ae]llo", "hillo"),
            ("h[^e]llo", "hello"),
            ("\\*", "a"),
            ("a*b", "acbd"),
            ("[]", "a"),
            ("abc", "ab"),
            ("ab", "abc"),
        ];
        for (pattern, text) in no {
            assert!(
                !matches(pattern.as_bytes(), text.as_bytes()),
                "{pattern} {text}"
            );
        }
    }

    #[test]
    fn a_hostile_pattern_takes_no_exponential_time() {
        // A recursive matcher tries each split of the text over 200 stars.
        assert!(!matches(
            "a*".repeat(200).as_bytes(),
            "ab".repeat(150).as_bytes()
        ));
    }

    proptest! {
        #[test]
        fn never_panics(pattern in "[]*?^\\\\a-c\\[-]{0,12}", text in "[abc\\]]{0,12}") {
            let _ = matches(pattern.as_bytes(), text.as_bytes());
        }

        #[test]
        fn a_text_matches_itself_with_stars_anywhere(text in "[abc]{0,12}", cut in 0_usize..13) {
            let (head, tail) = text.split_at(cut.min(text.len()));
            let pattern = format!("{head}*{tail}");
            prop_assert!(matches(pattern.as_bytes(), text.as_bytes()));
        }
    }
}
