//! The command table: name, arity, and who answers.
//!
//! A command that names several keys (`MGET`, `DEL`, `MSET` ..) becomes one single-key command per
//! key, each for its key's shard, and a [`Join`] that says how the connection makes one reply of
//! theirs. So a shard knows single-key commands only, and no command needs two shards at once;
//! the price is that such a command is not atomic across shards.

use std::fmt::Write as _;

use super::resp::{Args, reply};

/// What a shard can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    Append,
    DbSize,
    Decr,
    DecrBy,
    Del,
    Exists,
    Expire,
    ExpireAt,
    Flush,
    Get,
    HDel,
    HGet,
    HGetAll,
    HLen,
    HSet,
    Incr,
    IncrBy,
    Keys,
    LLen,
    LPop,
    LPush,
    LRange,
    PExpire,
    PExpireAt,
    PTtl,
    Persist,
    RPop,
    RPush,
    SAdd,
    SCard,
    SIsMember,
    SMembers,
    SPop,
    SRem,
    Scan,
    Set,
    StrLen,
    Ttl,
    Type,
    ZAdd,
    ZCard,
    ZPopMin,
    ZScore,
    /// `GET` as a part of `MGET`: a value of another kind is nil, not an error.
    GetAny,
}

/// What a connection answers itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Local {
    Auth,
    Client,
    Command,
    Config,
    Echo,
    Hello,
    Ping,
    Quit,
    Select,
    /// These wait until all that came before them in the pipeline is answered.
    Debug,
    Info,
    Publish,
    Reset,
    Subscribe,
    Unsubscribe,
    /// A web page's request to this port: hang up, as Redis does.
    Http,
}

/// How several shards' replies become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Join {
    /// The sum of integers.
    Sum,
    /// One array with each part as an element.
    Elements,
    /// One array of all parts' elements.
    Concat,
    /// The first reply that is not an integer or nil; all are the same unless one failed.
    Same,
}

/// Who answers a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    Local(Local),
    /// The shard of argument 1.
    Key(Op),
    /// For every `step` arguments from argument 1, the shard of the first of them.
    EachKey {
        op: Op,
        step: usize,
        join: Join,
    },
    /// Every shard.
    Everyone(Op, Join),
    /// The shard that the cursor in argument 1 names.
    Cursor(Op),
}

/// One line of the table.
#[derive(Debug)]
pub(crate) struct Spec {
    pub(crate) name: &'static str,
    /// Arguments with the name; negative: at least so many.
    arity: i32,
    pub(crate) writes: bool,
    pub(crate) route: Route,
}

const fn read(name: &'static str, arity: i32, op: Op) -> Spec {
    Spec {
        name,
        arity,
        writes: false,
        route: Route::Key(op),
    }
}

const fn write(name: &'static str, arity: i32, op: Op) -> Spec {
    Spec {
        name,
        arity,
        writes: true,
        route: Route::Key(op),
    }
}

const fn local(name: &'static str, arity: i32, what: Local) -> Spec {
    Spec {
        name,
        arity,
        writes: false,
        route: Route::Local(what),
    }
}

const fn spread(name: &'static str, arity: i32, writes: bool, route: Route) -> Spec {
    Spec {
        name,
        arity,
        writes,
        route,
    }
}

const fn each(op: Op, step: usize, join: Join) -> Route {
    Route::EachKey { op, step, join }
}

/// Every command, sorted for the reader.
const TABLE: &[Spec] = &[
    write("append", 3, Op::Append),
    local("auth", -2, Local::Auth),
    local("client", -2, Local::Client),
    local("command", -1, Local::Command),
    local("config", -2, Local::Config),
    spread("dbsize", 1, false, Route::Everyone(Op::DbSize, Join::Sum)),
    local("debug", -2, Local::Debug),
    write("decr", 2, Op::Decr),
    write("decrby", 3, Op::DecrBy),
    spread("del", -2, true, each(Op::Del, 1, Join::Sum)),
    local("echo", 2, Local::Echo),
    spread("exists", -2, false, each(Op::Exists, 1, Join::Sum)),
    write("expire", 3, Op::Expire),
    write("expireat", 3, Op::ExpireAt),
    spread("flushall", -1, true, Route::Everyone(Op::Flush, Join::Same)),
    spread("flushdb", -1, true, Route::Everyone(Op::Flush, Join::Same)),
    read("get", 2, Op::Get),
    write("hdel", -3, Op::HDel),
    local("hello", -1, Local::Hello),
    read("hget", 3, Op::HGet),
    read("hgetall", 2, Op::HGetAll),
    read("hlen", 2, Op::HLen),
    local("host:", -1, Local::Http),
    write("hset", -4, Op::HSet),
    write("incr", 2, Op::Incr),
    write("incrby", 3, Op::IncrBy),
    local("info", -1, Local::Info),
    spread("keys", 2, false, Route::Everyone(Op::Keys, Join::Concat)),
    read("llen", 2, Op::LLen),
    write("lpop", -2, Op::LPop),
    write("lpush", -3, Op::LPush),
    read("lrange", 4, Op::LRange),
    spread("mget", -2, false, each(Op::GetAny, 1, Join::Elements)),
    spread("mset", -3, true, each(Op::Set, 2, Join::Same)),
    write("persist", 2, Op::Persist),
    write("pexpire", 3, Op::PExpire),
    write("pexpireat", 3, Op::PExpireAt),
    local("ping", -1, Local::Ping),
    local("post", -1, Local::Http),
    read("pttl", 2, Op::PTtl),
    local("publish", 3, Local::Publish),
    local("quit", -1, Local::Quit),
    local("reset", 1, Local::Reset),
    write("rpop", -2, Op::RPop),
    write("rpush", -3, Op::RPush),
    write("sadd", -3, Op::SAdd),
    spread("scan", -2, false, Route::Cursor(Op::Scan)),
    read("scard", 2, Op::SCard),
    local("select", 2, Local::Select),
    write("set", -3, Op::Set),
    read("sismember", 3, Op::SIsMember),
    read("smembers", 2, Op::SMembers),
    write("spop", -2, Op::SPop),
    write("srem", -3, Op::SRem),
    read("strlen", 2, Op::StrLen),
    local("subscribe", -2, Local::Subscribe),
    read("ttl", 2, Op::Ttl),
    read("type", 2, Op::Type),
    spread("unlink", -2, true, each(Op::Del, 1, Join::Sum)),
    local("unsubscribe", -1, Local::Unsubscribe),
    write("zadd", -4, Op::ZAdd),
    read("zcard", 2, Op::ZCard),
    write("zpopmin", -2, Op::ZPopMin),
    read("zscore", 3, Op::ZScore),
];

/// A hash table: at a name's place, where it is in `TABLE`, or `NOWHERE`.
static PLACES: [u8; PLACE_COUNT] = PLACED.1;
/// A factor for which no two names share a place, and their places.
const PLACED: (u64, [u8; PLACE_COUNT]) = {
    assert!(TABLE.len() < NOWHERE as usize);
    let (mut factor, mut tries) = (0x9e37_79b9_7f4a_7c15_u64, 0);
    loop {
        if let Some(places) = placed(factor) {
            break (factor, places);
        }
        tries += 1;
        assert!(tries < 100, "two names always share a place");
        factor = factor.wrapping_mul(0xd134_2543_de82_ef95).wrapping_add(2);
    }
};
const PLACE_COUNT: usize = 1 << PLACE_BITS;
const PLACE_BITS: u32 = 10;
const NOWHERE: u8 = u8::MAX;

const fn placed(factor: u64) -> Option<[u8; PLACE_COUNT]> {
    let mut places = [NOWHERE; PLACE_COUNT];
    let mut at = 0;
    while at < TABLE.len() {
        let place = place(TABLE[at].name.as_bytes(), factor);
        if places[place] != NOWHERE {
            return None;
        }
        places[place] = at as u8;
        at += 1;
    }
    Some(places)
}

/// The place of a name in any case, which other texts have as well.
const fn place(name: &[u8], factor: u64) -> usize {
    let (mut number, mut at) = (0_u64, 0);
    while at < name.len() {
        // Of a letter, the small one.
        let letter = (name[at] | b' ') as u64;
        number = number.rotate_left(8) ^ letter;
        at += 1;
    }
    (number.wrapping_mul(factor) >> (u64::BITS - PLACE_BITS)) as usize
}

/// The command called `name`, in any case.
pub(crate) fn find(name: &[u8]) -> Option<&'static Spec> {
    if name.len() > NAME_MAX {
        return None;
    }
    let spec = TABLE.get(usize::from(PLACES[place(name, PLACED.0)]))?;
    spec.name
        .as_bytes()
        .eq_ignore_ascii_case(name)
        .then_some(spec)
}

/// No name is longer.
const NAME_MAX: usize = {
    let (mut longest, mut at) = (0, 0);
    while at < TABLE.len() {
        if TABLE[at].name.len() > longest {
            longest = TABLE[at].name.len();
        }
        at += 1;
    }
    longest
};

/// The command of a request, or the error reply's text.
pub(crate) fn resolve(args: Args<'_>) -> Result<&'static Spec, String> {
    let name = args.at(0);
    let Some(spec) = find(name) else {
        return Err(unknown(args));
    };
    let wanted = spec.arity.unsigned_abs() as usize;
    let paired = spec.name != "mset" || args.len() % 2 == 1;
    let fits = if spec.arity < 0 {
        args.len() >= wanted
    } else {
        args.len() == wanted
    };
    if fits && paired {
        Ok(spec)
    } else {
        Err(arity_error(spec.name))
    }
}

pub(crate) fn arity_error(name: &str) -> String {
    format!("ERR wrong number of arguments for '{name}' command")
}

#[cold]
fn unknown(args: Args<'_>) -> String {
    let short = |bytes: &[u8]| String::from_utf8_lossy(&bytes[..bytes.len().min(128)]).into_owned();
    let mut text = format!(
        "ERR unknown command '{}', with args beginning with: ",
        short(args.at(0))
    );
    for arg in args.from(1) {
        if text.len() > 256 {
            break;
        }
        // Writing to a String can't fail.
        let _ = write!(text, "'{}' ", short(arg));
    }
    text
}

/// `COMMAND`, `COMMAND COUNT`, `COMMAND INFO name ..`, `COMMAND DOCS`: enough for redis-cli.
pub(crate) fn describe(args: Args<'_>, out: &mut Vec<u8>) {
    match args.get(1).map(<[u8]>::to_ascii_lowercase).as_deref() {
        None => {
            reply::array(out, TABLE.len());
            TABLE.iter().for_each(|spec| describe_one(spec, out));
        }
        Some(b"count") => reply::count(out, TABLE.len()),
        Some(b"docs") => reply::array(out, 0),
        Some(b"info") => {
            reply::array(out, args.len() - 2);
            for name in args.from(2) {
                match find(name) {
                    Some(spec) => describe_one(spec, out),
                    None => out.extend_from_slice(b"*-1\r\n"),
                }
            }
        }
        Some(other) => {
            let other = String::from_utf8_lossy(other);
            reply::error(
                out,
                format_args!("ERR unknown subcommand '{other}'. Try COMMAND HELP."),
            );
        }
    }
}

fn describe_one(spec: &Spec, out: &mut Vec<u8>) {
    let (first, last, step) = match spec.route {
        Route::Key(_) => (1, 1, 1),
        Route::EachKey { step, .. } => (1, -1, step as i64),
        _ => (0, 0, 0),
    };
    reply::array(out, 6);
    reply::bulk(out, spec.name.as_bytes());
    reply::int(out, i64::from(spec.arity));
    reply::array(out, 1);
    reply::simple(out, if spec.writes { "write" } else { "readonly" });
    reply::int(out, first);
    reply::int(out, last);
    reply::int(out, step);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kvd::resp::Span;

    #[test]
    fn the_table_is_sorted_and_every_name_is_found_in_any_case() {
        assert!(TABLE.windows(2).all(|pair| pair[0].name < pair[1].name));
        for spec in TABLE {
            let found = find(spec.name.to_uppercase().as_bytes()).expect("in the table");
            assert_eq!(found.name, spec.name);
        }
        assert!(find(b"").is_none());
        assert!(find(b"get\0").is_none());
        assert!(find(b"host\x1a").is_none());
        assert!(find(&[b'x'; 100]).is_none());
    }

    #[test]
    fn wrong_arity_and_unknown_commands_are_worded_as_redis_words_them() {
        let text = |words: &[&str]| {
            let (mut buf, mut spans) = (Vec::new(), Vec::new());
            for word in words {
                let start = buf.len() as u32;
                buf.extend_from_slice(word.as_bytes());
                spans.push(Span {
                    start,
                    end: buf.len() as u32,
                });
            }
            resolve(Args::new(&buf, &spans)).map(|spec| spec.name)
        };
        assert_eq!(text(&["GeT", "a"]), Ok("get"));
        assert_eq!(
            text(&["get"]),
            Err("ERR wrong number of arguments for 'get' command".to_owned())
        );
        assert!(text(&["mset", "a", "1", "b"]).is_err());
        assert_eq!(
            text(&["foo", "a", "b"]),
            Err("ERR unknown command 'foo', with args beginning with: 'a' 'b' ".to_owned())
        );
    }
}
