//! What a connection answers by itself: `PING`, `HELLO`, `CLIENT`, `CONFIG`, `INFO` ..

use std::fmt::Write as _;

use super::command::{self, Local};
use super::glob;
use super::resp::{Args, parse_i64, reply};
use super::services::Services;

/// The Redis version whose behaviour is imitated: clients choose what to send by it.
const REDIS_VERSION: &str = "7.0.0";

/// What a connection knows of its client.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) id: u64,
    pub(crate) addr: String,
    pub(crate) name: Vec<u8>,
    pub(crate) subscribed: bool,
    /// Set by `QUIT` and its like: hang up once the replies are sent.
    pub(crate) closing: bool,
}

/// Answers a command that needs no one else.
pub(crate) fn answer(
    what: Local,
    args: Args<'_>,
    session: &mut Session,
    services: &Services,
    out: &mut Vec<u8>,
) {
    match what {
        Local::Ping => match (args.get(1), session.subscribed) {
            _ if args.len() > 2 => reply::error(out, command::arity_error("ping")),
            (word, true) => {
                reply::bulks(out, [b"pong", word.unwrap_or_default()].iter());
            }
            (None, false) => reply::simple(out, "PONG"),
            (Some(word), false) => reply::bulk(out, word),
        },
        Local::Echo => reply::bulk(out, args.at(1)),
        Local::Quit => {
            reply::ok(out);
            session.closing = true;
        }
        Local::Http => session.closing = true,
        Local::Select => match parse_i64(args.at(1)) {
            Some(0) => reply::ok(out),
            Some(_) => reply::error(out, "ERR DB index is out of range"),
            None => reply::error(out, "ERR value is not an integer or out of range"),
        },
        Local::Auth => reply::error(
            out,
            "ERR AUTH <password> called without any password configured for the default user. \
             Are you sure your configuration is correct?",
        ),
        Local::Hello => hello(args, session, out),
        Local::Client => client(args, session, out),
        Local::Command => command::describe(args, out),
        Local::Config => config(args, services, out),
        // The connection answers these, when all before them is answered.
        Local::Debug
        | Local::Info
        | Local::Publish
        | Local::Reset
        | Local::Subscribe
        | Local::Unsubscribe => {}
    }
}

/// `HELLO [2]`: RESP3 is politely declined, and clients then stay with RESP2.
fn hello(args: Args<'_>, session: &mut Session, out: &mut Vec<u8>) {
    match args.get(1).map(parse_i64) {
        None | Some(Some(2)) => {}
        Some(Some(_)) => return reply::error(out, "NOPROTO unsupported protocol version"),
        Some(None) => {
            let text = "ERR Protocol version is not an integer or out of range";
            return reply::error(out, text);
        }
    }
    let mut rest = args.from(2);
    while let Some(word) = rest.next() {
        match (word.to_ascii_lowercase().as_slice(), rest.next()) {
            (b"setname", Some(name)) => session.name = name.to_vec(),
            _ => return reply::error(out, "ERR Syntax error in HELLO"),
        }
    }
    reply::array(out, 14);
    for (key, value) in [("server", "redis"), ("version", REDIS_VERSION)] {
        reply::bulk(out, key.as_bytes());
        reply::bulk(out, value.as_bytes());
    }
    reply::bulk(out, b"proto");
    reply::int(out, 2);
    reply::bulk(out, b"id");
    reply::int(out, session.id as i64);
    for (key, value) in [("mode", "standalone"), ("role", "master")] {
        reply::bulk(out, key.as_bytes());
        reply::bulk(out, value.as_bytes());
    }
    reply::bulk(out, b"modules");
    reply::array(out, 0);
}

fn client(args: Args<'_>, session: &mut Session, out: &mut Vec<u8>) {
    let sub = args.at(1).to_ascii_lowercase();
    match (sub.as_slice(), args.len()) {
        (b"id", 2) => reply::int(out, session.id as i64),
        (b"getname", 2) if session.name.is_empty() => reply::nil(out),
        (b"getname", 2) => reply::bulk(out, &session.name),
        (b"setname", 3) if args.at(2).iter().any(|b| !(b'!'..=b'~').contains(b)) => {
            let text = "ERR Client names cannot contain spaces, newlines or special characters.";
            reply::error(out, text);
        }
        (b"setname", 3) => {
            session.name = args.at(2).to_vec();
            reply::ok(out);
        }
        (b"info" | b"list", 2) => {
            let name = String::from_utf8_lossy(&session.name);
            let line = format!(
                "id={} addr={} name={name} db=0 resp=2\n",
                session.id, session.addr
            );
            reply::bulk(out, line.as_bytes());
        }
        (b"setinfo", 4) | (b"no-evict" | b"no-touch", 3) => reply::ok(out),
        _ => unknown_subcommand("client", args, out),
    }
}

fn unknown_subcommand(command: &str, args: Args<'_>, out: &mut Vec<u8>) {
    let sub = String::from_utf8_lossy(args.at(1));
    let help = command.to_uppercase();
    reply::error(
        out,
        format_args!(
            "ERR unknown subcommand or wrong number of arguments for '{sub:.128}'. Try {help} HELP."
        ),
    );
}

fn config(args: Args<'_>, services: &Services, out: &mut Vec<u8>) {
    let sub = args.at(1).to_ascii_lowercase();
    match (sub.as_slice(), args.len()) {
        (b"get", 3..) => {
            let config = &services.config;
            let settings = [
                ("appendfsync", config.fsync.name().to_owned()),
                ("appendonly", "yes".to_owned()),
                ("bind", config.bind.to_string()),
                ("databases", "1".to_owned()),
                ("dir", config.dir.display().to_string()),
                ("maxclients", config.clients_max.to_string()),
                ("maxmemory", "0".to_owned()),
                ("port", services.port.to_string()),
                ("proto-max-bulk-len", config.bulk_bytes_max.to_string()),
                ("save", String::new()),
            ];
            let wanted = |name: &str| {
                args.from(2)
                    .any(|pattern| glob::matches(&pattern.to_ascii_lowercase(), name.as_bytes()))
            };
            let found: Vec<&[u8]> = settings
                .iter()
                .filter(|(name, _)| wanted(name))
                .flat_map(|(name, value)| [name.as_bytes(), value.as_bytes()])
                .collect();
            reply::bulks(out, found.iter());
        }
        (b"resetstat", 2) => reply::ok(out),
        (b"set", 4..) => {
            reply::error(
                out,
                "ERR CONFIG SET is not supported: set it on kvd's command line",
            );
        }
        _ => unknown_subcommand("config", args, out),
    }
}

/// `INFO`: all sections, whichever is asked for.
pub(crate) async fn info(services: &Services) -> String {
    let mut keyspace = String::new();
    let (mut keys, mut expiring) = (0, 0);
    for (index, shard) in services.shards.iter().enumerate() {
        match shard.usage().await {
            Ok(usage) => {
                keys += usage.keys;
                expiring += usage.expiring;
                let _ = write!(
                    keyspace,
                    "shard{index}:keys={},expires={},incarnation={}\r\n",
                    usage.keys, usage.expiring, usage.incarnation
                );
            }
            Err(error) => {
                let _ = write!(keyspace, "shard{index}:{error}\r\n");
            }
        }
    }
    let (log, counters, config) = (&services.log_state, &services.counters, &services.config);
    let status = if log.fault().is_some() { "err" } else { "ok" };
    format!(
        "# Server\r\nredis_version:{REDIS_VERSION}\r\nkvd_version:{}\r\nredis_mode:standalone\r\n\
         process_id:{}\r\ntcp_port:{}\r\nuptime_in_seconds:{}\r\n\r\n\
         # Clients\r\nconnected_clients:{}\r\nmaxclients:{}\r\n\r\n\
         # Persistence\r\nloading:0\r\naof_enabled:1\r\naof_last_write_status:{status}\r\n\
         aof_current_size:{}\r\naof_fsync:{}\r\naof_syncs:{}\r\n\r\n\
         # Stats\r\ntotal_connections_received:{}\r\nrejected_connections:{}\r\n\
         total_commands_processed:{}\r\n\r\n\
         # Replication\r\nrole:master\r\nconnected_slaves:0\r\n\r\n\
         # Shards\r\n{keyspace}\r\n\
         # Keyspace\r\ndb0:keys={keys},expires={expiring},avg_ttl=0\r\n",
        env!("CARGO_PKG_VERSION"),
        std::process::id(),
        services.port,
        services.started.elapsed().as_secs(),
        counters.clients(),
        config.clients_max,
        log.len(),
        config.fsync.name(),
        log.syncs(),
        counters.accepted(),
        counters.refused(),
        counters.commands(),
    )
}
