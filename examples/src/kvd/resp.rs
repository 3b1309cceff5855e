//! RESP2 on the wire: an incremental request parser and the reply encoder.
//!
//! - The parser works over the connection's own buffer and yields spans into it: no argument is
//!   copied until it is known which shard wants it.
//! - It remembers how far it came, so a request that arrives in many pieces is scanned once.
//! - What a header claims is checked against the limits and then only believed as the bytes arrive:
//!   `*1000000` or `$500000000` reserve nothing.
//! - An inline request (a plain line, as typed into telnet) is unquoted into a scratch buffer, and
//!   its spans point there.
//!
//! Errors are worded as Redis words them, since clients match on them; after one the stream has no
//! known position, so the connection answers it and closes.

use std::fmt;

/// Most arguments of one request (Redis: 1024 * 1024).
const ARGS_MAX: i64 = 1024 * 1024;
/// Longest line: an inline request, or a `*`/`$` header (Redis: `PROTO_INLINE_MAX_SIZE`).
const LINE_BYTES_MAX: usize = 64 * 1024;

/// Where an argument lies in its buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) start: u32,
    pub(crate) end: u32,
}

/// The arguments of one request: the command's name is number 0.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Args<'a> {
    buf: &'a [u8],
    spans: &'a [Span],
}

impl<'a> Args<'a> {
    pub(crate) fn new(buf: &'a [u8], spans: &'a [Span]) -> Self {
        Self { buf, spans }
    }

    pub(crate) fn len(&self) -> usize {
        self.spans.len()
    }

    /// Argument `i`; panics when there is none (the arity check comes first).
    pub(crate) fn at(&self, i: usize) -> &'a [u8] {
        let span = self.spans[i];
        &self.buf[span.start as usize..span.end as usize]
    }

    /// All arguments and what lies between them, and where they begin and end in that.
    pub(crate) fn as_they_lie(self) -> (&'a [u8], impl ExactSizeIterator<Item = Span> + 'a) {
        let first = self.spans.first().map_or(0, |span| span.start);
        let end = self.spans.last().map_or(first, |span| span.end);
        let spans = self.spans.iter().map(move |span| Span {
            start: span.start - first,
            end: span.end - first,
        });
        (&self.buf[first as usize..end as usize], spans)
    }

    pub(crate) fn get(&self, i: usize) -> Option<&'a [u8]> {
        (i < self.spans.len()).then(|| self.at(i))
    }

    pub(crate) fn from(self, first: usize) -> impl ExactSizeIterator<Item = &'a [u8]> + Clone {
        let first = first.min(self.spans.len());
        self.spans[first..]
            .iter()
            .map(move |span| &self.buf[span.start as usize..span.end as usize])
    }
}

/// Why a stream of bytes is not RESP2.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum ProtocolError {
    InlineTooBig,
    UnbalancedQuotes,
    MultibulkHeaderTooBig,
    MultibulkLength,
    ExpectedDollar(u8),
    BulkHeaderTooBig,
    BulkLength,
    BulkEnd,
    RequestTooBig,
}

impl fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Protocol error: ")?;
        match self {
            Self::InlineTooBig => f.write_str("too big inline request"),
            Self::UnbalancedQuotes => f.write_str("unbalanced quotes in request"),
            Self::MultibulkHeaderTooBig => f.write_str("too big mbulk count string"),
            Self::MultibulkLength => f.write_str("invalid multibulk length"),
            Self::ExpectedDollar(got) => {
                write!(f, "expected '$', got '{}'", got.escape_ascii())
            }
            Self::BulkHeaderTooBig => f.write_str("too big bulk count string"),
            Self::BulkLength => f.write_str("invalid bulk length"),
            Self::BulkEnd => f.write_str("expected CRLF after a bulk string"),
            Self::RequestTooBig => f.write_str("too big request"),
        }
    }
}

impl std::error::Error for ProtocolError {}

/// The incremental parser of one connection.
#[derive(Debug)]
pub(crate) struct Parser {
    bulk_bytes_max: usize,
    /// Spans of the arguments seen so far.
    spans: Vec<Span>,
    /// The unquoted arguments of an inline request.
    inline: Vec<u8>,
    /// Bytes of the current request that are dealt with.
    scanned: usize,
    /// Arguments of the current multibulk request still to come; `None` before its header.
    args_left: Option<usize>,
    /// Length of the bulk string whose header has been read.
    bulk: Option<usize>,
    /// Whether the last request was inline.
    is_inline: bool,
}

impl Parser {
    pub(crate) fn new(bulk_bytes_max: usize) -> Self {
        Self {
            bulk_bytes_max,
            spans: Vec::new(),
            inline: Vec::new(),
            scanned: 0,
            args_left: None,
            bulk: None,
            is_inline: false,
        }
    }

    /// Looks for one whole request at the start of `buf`, which begins where the last one ended.
    ///
    /// `Ok(Some(n))`: the request takes `n` bytes and [`args`](Self::args) gives its arguments
    /// (none for an empty line). `Ok(None)`: more bytes are needed; call again with the same start.
    pub(crate) fn parse(&mut self, buf: &[u8]) -> Result<Option<usize>, ProtocolError> {
        if self.scanned == 0 {
            self.spans.clear();
            match buf.first() {
                None => return Ok(None),
                Some(b'*') => self.is_inline = false,
                Some(_) => return self.parse_inline(buf),
            }
            if let Some(taken) = self.parse_short(buf) {
                return Ok(Some(taken));
            }
        }
        if self.args_left.is_none() {
            let too_big = ProtocolError::MultibulkHeaderTooBig;
            let Some((count, next)) = number(buf, 1, too_big)? else {
                return Ok(None);
            };
            let count = count.ok_or(ProtocolError::MultibulkLength)?;
            if count > ARGS_MAX {
                return Err(ProtocolError::MultibulkLength);
            }
            self.args_left = Some(usize::try_from(count).unwrap_or(0));
            self.scanned = next;
        }
        while self.args_left != Some(0) {
            if !self.parse_bulk(buf)? {
                // Spans are 32 bits wide, and one request must not take all the memory.
                let limit = self.bulk_bytes_max.saturating_mul(2).max(1 << 20);
                if buf.len() > limit.min(u32::MAX as usize / 2) {
                    return Err(ProtocolError::RequestTooBig);
                }
                return Ok(None);
            }
        }
        let taken = self.scanned;
        self.restart();
        Ok(Some(taken))
    }

    /// The arguments of the request that [`parse`](Self::parse) just found in `buf`.
    pub(crate) fn args<'a>(&'a self, buf: &'a [u8]) -> Args<'a> {
        Args::new(if self.is_inline { &self.inline } else { buf }, &self.spans)
    }

    /// How many more bytes the bulk string that is being received needs, as far as its header told.
    pub(crate) fn missing(&self, buf_len: usize) -> usize {
        self.bulk
            .map_or(0, |bulk| (self.scanned + bulk + 2).saturating_sub(buf_len))
    }

    fn restart(&mut self) {
        self.scanned = 0;
        self.args_left = None;
        self.bulk = None;
    }

    /// A whole request of a few short arguments, as nearly all are; how many bytes it takes. Otherwise it
    /// has dealt with the short arguments that came first.
    fn parse_short(&mut self, buf: &[u8]) -> Option<usize> {
        let [b'*', count @ b'1'..=b'9', b'\r', b'\n', ..] = buf else {
            return None;
        };
        let digit = |byte: &u8| usize::from(byte - b'0');
        let (mut at, mut left) = (4, digit(count));
        while left > 0 {
            let (len, start) = match &buf[at..] {
                [b'$', one @ b'0'..=b'9', b'\r', b'\n', ..] => (digit(one), at + 4),
                [b'$', ten @ b'1'..=b'9', one @ b'0'..=b'9', b'\r', b'\n', ..] => {
                    (10 * digit(ten) + digit(one), at + 5)
                }
                _ => break,
            };
            let end = start + len;
            if len > self.bulk_bytes_max || buf.get(end..end + 2) != Some(b"\r\n") {
                break;
            }
            self.spans.push(Span {
                start: start as u32,
                end: end as u32,
            });
            (at, left) = (end + 2, left - 1);
        }
        if left == 0 {
            return Some(at);
        }
        (self.scanned, self.args_left) = (at, Some(left));
        None
    }

    /// One more bulk string; false when it is not all there yet.
    fn parse_bulk(&mut self, buf: &[u8]) -> Result<bool, ProtocolError> {
        let len = match self.bulk {
            Some(len) => len,
            None => {
                let too_big = ProtocolError::BulkHeaderTooBig;
                match buf.get(self.scanned) {
                    None => return Ok(false),
                    Some(b'$') => {}
                    Some(&got) => return Err(ProtocolError::ExpectedDollar(got)),
                }
                let Some((len, next)) = number(buf, self.scanned + 1, too_big)? else {
                    return Ok(false);
                };
                let len = len
                    .and_then(|len| usize::try_from(len).ok())
                    .filter(|&len| len <= self.bulk_bytes_max)
                    .ok_or(ProtocolError::BulkLength)?;
                self.scanned = next;
                self.bulk = Some(len);
                len
            }
        };
        let end = self.scanned + len;
        if buf.len() < end + 2 {
            return Ok(false);
        }
        if &buf[end..end + 2] != b"\r\n" {
            return Err(ProtocolError::BulkEnd);
        }
        if end + 2 > u32::MAX as usize {
            return Err(ProtocolError::RequestTooBig);
        }
        self.spans.push(Span {
            start: self.scanned as u32,
            end: end as u32,
        });
        self.scanned = end + 2;
        self.bulk = None;
        self.args_left = self.args_left.map(|left| left - 1);
        Ok(true)
    }

    fn parse_inline(&mut self, buf: &[u8]) -> Result<Option<usize>, ProtocolError> {
        let window = &buf[..buf.len().min(LINE_BYTES_MAX)];
        let Some(end) = memchr::memchr(b'\n', window) else {
            let full = buf.len() >= LINE_BYTES_MAX;
            return if full {
                Err(ProtocolError::InlineTooBig)
            } else {
                Ok(None)
            };
        };
        self.is_inline = true;
        self.inline.clear();
        let line = buf[..end].strip_suffix(b"\r").unwrap_or(&buf[..end]);
        split_inline(line, &mut self.inline, &mut self.spans)
            .ok_or(ProtocolError::UnbalancedQuotes)?;
        Ok(Some(end + 1))
    }
}

/// The number on the line that begins at `from`, if it is one, and where the next one begins.
fn number(
    buf: &[u8],
    from: usize,
    too_big: ProtocolError,
) -> Result<Option<(Option<i64>, usize)>, ProtocolError> {
    let line = line(buf, from, too_big)?;
    Ok(line.map(|(line, next)| (parse_i64(line), next)))
}

/// The line that begins at `from`, without its end, and where the next one begins.
fn line(
    buf: &[u8],
    from: usize,
    too_big: ProtocolError,
) -> Result<Option<(&[u8], usize)>, ProtocolError> {
    let rest = &buf[from.min(buf.len())..];
    let window = &rest[..rest.len().min(LINE_BYTES_MAX)];
    match memchr::memchr(b'\n', window) {
        Some(end) => {
            let line = &rest[..end];
            Ok(Some((
                line.strip_suffix(b"\r").unwrap_or(line),
                from + end + 1,
            )))
        }
        None if rest.len() >= LINE_BYTES_MAX => Err(too_big),
        None => Ok(None),
    }
}

/// Splits a line at blanks, with Redis' rules for `"a\x00b"` and `'a b'`. `None`: a quote is open.
fn split_inline(line: &[u8], out: &mut Vec<u8>, spans: &mut Vec<Span>) -> Option<()> {
    let mut rest = line;
    loop {
        let Some(skip) = rest.iter().position(|b| !b.is_ascii_whitespace()) else {
            return Some(());
        };
        rest = &rest[skip..];
        let start = out.len();
        while let Some((&byte, tail)) = rest.split_first() {
            rest = tail;
            match byte {
                b'"' | b'\'' => {
                    rest = unquote(byte, rest, out)?;
                    if rest.first().is_some_and(|b| !b.is_ascii_whitespace()) {
                        return None; // a closing quote is followed by a blank
                    }
                    break;
                }
                b if b.is_ascii_whitespace() => break,
                b => out.push(b),
            }
        }
        spans.push(Span {
            start: start as u32,
            end: out.len() as u32,
        });
    }
}

/// Copies up to the closing quote and gives what follows it.
fn unquote<'a>(quote: u8, mut rest: &'a [u8], out: &mut Vec<u8>) -> Option<&'a [u8]> {
    loop {
        let (&byte, tail) = rest.split_first()?;
        rest = tail;
        match byte {
            b if b == quote => return Some(rest),
            b'\\' if quote == b'"' => {
                let (&escaped, tail) = rest.split_first()?;
                rest = tail;
                let hex = |b: u8| (b as char).to_digit(16).map(|d| d as u8);
                match (escaped, rest) {
                    (b'x', [high, low, tail @ ..])
                        if hex(*high).is_some() && hex(*low).is_some() =>
                    {
                        out.push(hex(*high)? << 4 | hex(*low)?);
                        rest = tail;
                    }
                    (b'n', _) => out.push(b'\n'),
                    (b'r', _) => out.push(b'\r'),
                    (b't', _) => out.push(b'\t'),
                    (b'a', _) => out.push(7),
                    (b'b', _) => out.push(8),
                    (other, _) => out.push(other),
                }
            }
            b'\\' if rest.first() == Some(&b'\'') => {
                out.push(b'\'');
                rest = &rest[1..];
            }
            b => out.push(b),
        }
    }
}

/// A decimal integer in its one canonical spelling, as Redis' `string2ll`: no `+`, no leading 0.
pub(crate) fn parse_i64(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    match digits {
        [b'0'] if !negative => return Some(0),
        [b'1'..=b'9', ..] if digits.len() <= 19 => {}
        _ => return None,
    }
    let mut value: i64 = 0;
    for &digit in digits {
        let digit = i64::from(digit.checked_sub(b'0').filter(|&d| d <= 9)?);
        let next = value.checked_mul(10)?;
        value = if negative {
            next.checked_sub(digit)?
        } else {
            next.checked_add(digit)?
        };
    }
    Some(value)
}

/// Replies, appended to an output buffer.
pub(crate) mod reply {
    use std::fmt;
    use std::io::Write as _;

    pub(crate) const OK: &[u8] = b"+OK\r\n";
    pub(crate) const NIL: &[u8] = b"$-1\r\n";

    pub(crate) fn ok(out: &mut Vec<u8>) {
        out.extend_from_slice(OK);
    }

    pub(crate) fn nil(out: &mut Vec<u8>) {
        out.extend_from_slice(NIL);
    }

    pub(crate) fn simple(out: &mut Vec<u8>, text: &str) {
        out.push(b'+');
        out.extend_from_slice(text.as_bytes());
        out.extend_from_slice(b"\r\n");
    }

    /// An error reply; `text` begins with its code (`ERR`, `WRONGTYPE` ..). A line break in it
    /// (from a client's own bytes) would end the reply early, so it becomes a blank.
    pub(crate) fn error(out: &mut Vec<u8>, text: impl fmt::Display) {
        let start = out.len();
        // Writing to a Vec can't fail.
        let _ = write!(out, "-{text}");
        for byte in &mut out[start..] {
            if matches!(byte, b'\r' | b'\n') {
                *byte = b' ';
            }
        }
        out.extend_from_slice(b"\r\n");
    }

    pub(crate) fn int(out: &mut Vec<u8>, value: i64) {
        header(out, b':', value);
    }

    pub(crate) fn count(out: &mut Vec<u8>, value: usize) {
        header(out, b':', value as i64);
    }

    pub(crate) fn bulk(out: &mut Vec<u8>, bytes: &[u8]) {
        header(out, b'$', bytes.len() as i64);
        out.extend_from_slice(bytes);
        out.extend_from_slice(b"\r\n");
    }

    /// An array's header; its `len` elements follow.
    pub(crate) fn array(out: &mut Vec<u8>, len: usize) {
        header(out, b'*', len as i64);
    }

    /// A request, or any array of bulk strings.
    pub(crate) fn bulks<'a>(
        out: &mut Vec<u8>,
        items: impl ExactSizeIterator<Item = impl AsRef<[u8]> + 'a>,
    ) {
        array(out, items.len());
        for item in items {
            bulk(out, item.as_ref());
        }
    }

    fn header(out: &mut Vec<u8>, kind: u8, value: i64) {
        // As nearly all are.
        if let short @ 0..=9 = value {
            return out.extend_from_slice(&[kind, b'0' + short as u8, b'\r', b'\n']);
        }
        if let short @ 10..=99 = value {
            let (ten, one) = (short as u8 / 10, short as u8 % 10);
            return out.extend_from_slice(&[kind, b'0' + ten, b'0' + one, b'\r', b'\n']);
        }
        out.push(kind);
        // Writing to a Vec can't fail.
        let _ = write!(out, "{value}\r\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Request = Vec<Vec<u8>>;

    /// Feeds `bytes` in pieces of `step` and collects the requests.
    fn feed(bytes: &[u8], step: usize, max: usize) -> (Vec<Request>, Option<ProtocolError>) {
        let (mut parser, mut requests) = (Parser::new(max), Vec::new());
        let (mut start, mut end) = (0, 0);
        loop {
            match parser.parse(&bytes[start..end]) {
                Err(error) => return (requests, Some(error)),
                Ok(Some(taken)) => {
                    let args = parser.args(&bytes[start..end]);
                    requests.push(args.from(0).map(<[u8]>::to_vec).collect());
                    start += taken;
                }
                Ok(None) if end == bytes.len() => return (requests, None),
                Ok(None) => end = (end + step).min(bytes.len()),
            }
        }
    }

    fn words(line: &str) -> Request {
        line.split(' ')
            .map(|word| word.as_bytes().to_vec())
            .collect()
    }

    #[test]
    fn requests_survive_every_way_of_being_cut_into_pieces() {
        let bytes =
            b"*2\r\n$3\r\nGET\r\n$1\r\na\r\nPING x\r\n\r\n*0\r\n*-1\r\n*1\r\n$0\r\n\r\nPING\n";
        let expected = vec![
            words("GET a"),
            words("PING x"),
            vec![],
            vec![],
            vec![],
            vec![vec![]],
            words("PING"),
        ];
        for step in 1..bytes.len() {
            assert_eq!(
                feed(bytes, step, 512),
                (expected.clone(), None),
                "pieces of {step}"
            );
        }
    }

    #[test]
    fn a_short_argument_is_no_longer_than_allowed_either() {
        let allowed = feed(b"*1\r\n$5\r\nabcde\r\n", 100, 5);
        assert_eq!(allowed, (vec![words("abcde")], None));
        let too_long = feed(b"*1\r\n$6\r\nabcdef\r\n", 100, 5);
        assert_eq!(too_long, (vec![], Some(ProtocolError::BulkLength)));
    }

    #[test]
    fn errors_are_worded_as_redis_words_them() {
        let cases: &[(&[u8], &str)] = &[
            (b"*x\r\n", "invalid multibulk length"),
            (b"*1048577\r\n", "invalid multibulk length"),
            (b"*99999999999999999999\r\n", "invalid multibulk length"),
            (b"*1\r\n:1\r\n", "expected '$', got ':'"),
            (b"*1\r\n\x00", "expected '$', got '\\x00'"),
            (b"*1\r\n$-1\r\n", "invalid bulk length"),
            (b"*1\r\n$513\r\n", "invalid bulk length"),
            (b"*1\r\n$03\r\n", "invalid bulk length"),
            (b"*1\r\n$1\r\nabc", "expected CRLF after a bulk string"),
            (b"SET \"a\r\n", "unbalanced quotes in request"),
            (b"SET 'a'b\r\n", "unbalanced quotes in request"),
        ];
        for (bytes, text) in cases {
            let error = feed(bytes, 1, 512).1.expect("an error");
            assert_eq!(
                error.to_string(),
                format!("Protocol error: {text}"),
                "{bytes:?}"
            );
        }
        let long = vec![b'1'; LINE_BYTES_MAX + 2];
        for (start, text) in [
            ("", "too big inline request"),
            ("*", "too big mbulk count string"),
            ("*1\r\n$", "too big bulk count string"),
        ] {
            let bytes = [start.as_bytes(), &long].concat();
            let error = feed(&bytes, 4096, 512).1.expect("an error");
            assert_eq!(error.to_string(), format!("Protocol error: {text}"));
        }
    }

    #[test]
    fn a_header_reserves_nothing() {
        let mut parser = Parser::new(512 << 20);
        let bytes = b"*1000000\r\n$500000000\r\nab";
        assert_eq!(parser.parse(bytes), Ok(None));
        assert_eq!(parser.spans.capacity(), 0);
        assert_eq!(parser.missing(bytes.len()), 500_000_000);
    }

    #[test]
    fn one_request_of_many_bulks_is_limited_too() {
        let mut bytes = b"*100000\r\n".to_vec();
        for _ in 0..3000 {
            reply::bulk(&mut bytes, &[b'x'; 500]);
        }
        assert_eq!(
            feed(&bytes, 65536, 512).1,
            Some(ProtocolError::RequestTooBig)
        );
    }

    #[test]
    fn inline_quoting() {
        let (requests, error) = feed(b"set \"a\\x41\\n\\\"\" 'b \\' c' d\r\n", 3, 512);
        assert_eq!(error, None);
        assert_eq!(
            requests[0],
            [&b"set"[..], b"aA\n\"", b"b ' c", b"d"].map(<[u8]>::to_vec)
        );
    }

    #[test]
    fn integers_have_one_spelling() {
        for bad in ["", "-", "+1", "01", "-0", "1a", "9223372036854775808", " 1"] {
            assert_eq!(parse_i64(bad.as_bytes()), None, "{bad}");
        }
        for good in [0, 1, -1, i64::MAX, i64::MIN, 1_000_000] {
            assert_eq!(parse_i64(good.to_string().as_bytes()), Some(good));
            let mut out = Vec::new();
            reply::int(&mut out, good);
            assert_eq!(out, format!(":{good}\r\n").into_bytes());
        }
    }

    #[test]
    fn a_line_break_in_an_error_cannot_forge_a_second_reply() {
        let mut out = Vec::new();
        reply::error(&mut out, "ERR unknown command 'a\r\n+OK'");
        assert_eq!(out, b"-ERR unknown command 'a  +OK'\r\n");
    }

    proptest! {
        #[test]
        fn garbage_never_panics_and_pieces_do_not_matter(
            bytes in proptest::collection::vec(
                prop_oneof![
                    Just(b'*'), Just(b'$'), Just(b'\r'), Just(b'\n'), Just(b'1'), Just(b'"'),
                    Just(b'\\'), any::<u8>()
                ],
                0..200,
            ),
            step in 1_usize..9,
        ) {
            let whole = feed(&bytes, bytes.len().max(1), 64);
            prop_assert_eq!(feed(&bytes, step, 64), whole);
        }

        #[test]
        fn what_is_encoded_is_parsed_back(
            requests in proptest::collection::vec(
                proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..20), 1..6),
                0..6,
            ),
            step in 1_usize..20,
        ) {
            let mut bytes = Vec::new();
            for request in &requests {
                reply::bulks(&mut bytes, request.iter());
            }
            prop_assert_eq!(feed(&bytes, step, 64), (requests, None));
        }
    }
}
