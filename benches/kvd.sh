#!/usr/bin/env bash
# kvd against a minimal tokio server and real Redis: redis-benchmark -t set,get -c 50, with and
# without -P 16, as a markdown table of medians (requests per second).
#
#   benches/kvd.sh [--quick]          ROUNDS=7 REQUESTS=200000 benches/kvd.sh
#
# Servers run one at a time, in turns over several rounds, each on a fresh port and a fresh folder.
# Before each measurement SET, GET and INCR are checked; a server that answers with an error fails
# the script. Redis is left out when redis-server isn't installed; redis-benchmark is needed.
set -euo pipefail
cd "$(dirname "$0")/.."

rounds=${ROUNDS:-5}
requests=${REQUESTS:-200000}
if [ "${1:-}" = --quick ]; then rounds=1 requests=20000; fi

for tool in redis-benchmark redis-cli; do
    command -v "$tool" >/dev/null || { echo "kvd.sh: install redis-tools for $tool" >&2; exit 1; }
done

cargo build --release -p examples --bin kvd
cargo build --release -p benches --bin resp_tokio
bin=${CARGO_TARGET_DIR:-target}/release
echo "kvd.sh: $rounds rounds of $requests requests ($((requests * 5)) with -P 16)" >&2

scratch=$(mktemp -d)
server_pid=
stop_server() {
    [ -n "$server_pid" ] || return 0
    kill "$server_pid" 2>/dev/null || true
    for _ in $(seq 100); do
        kill -0 "$server_pid" 2>/dev/null || break
        sleep 0.05
    done
    kill -9 "$server_pid" 2>/dev/null || true
    wait "$server_pid" 2>/dev/null || true
    server_pid=
}
trap 'stop_server; rm -rf "$scratch"' EXIT

free_port() {
    while :; do
        port=$((20000 + RANDOM % 12000)) # below the range that clients' ports come from
        (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || { echo "$port"; return; }
    done
}

# Becomes the server called $1 on $port with its files in $dir.
become_server() {
    local redis=(redis-server --port "$port" --bind 127.0.0.1 --dir "$dir" --save "")
    case $1 in
    kvd-no)         exec "$bin/kvd" --port "$port" --dir "$dir" --fsync no ;;
    kvd-everysec)   exec "$bin/kvd" --port "$port" --dir "$dir" --fsync everysec ;;
    resp_tokio)     exec "$bin/resp_tokio" --port "$port" ;;
    redis-memory)   exec "${redis[@]}" --appendonly no ;;
    redis-no)       exec "${redis[@]}" --appendonly yes --appendfsync no ;;
    redis-everysec) exec "${redis[@]}" --appendonly yes --appendfsync everysec ;;
    esac
}

# Starts the server called $1 and waits until it answers; server_pid is it.
start_server() {
    become_server "$1" >"$dir/log" 2>&1 &
    server_pid=$!
    for _ in $(seq 200); do
        if [ "$(redis-cli -p "$port" PING 2>/dev/null)" = PONG ]; then return; fi
        kill -0 "$server_pid" 2>/dev/null || break
        sleep 0.05
    done
    echo "kvd.sh: $1 doesn't answer:" >&2
    tail -20 "$dir/log" >&2
    exit 1
}

check() { # server, expected, command...
    local server=$1 expected=$2 got
    shift 2
    got=$(redis-cli -p "$port" "$@")
    [ "$got" = "$expected" ] || { echo "kvd.sh: $server: $*: got '$got'" >&2; exit 1; }
}

servers="kvd-no kvd-everysec resp_tokio"
if command -v redis-server >/dev/null; then
    servers="$servers redis-memory redis-no redis-everysec"
fi

# One line per measurement: server pipeline test requests-per-second
results=$scratch/results
: >"$results"
list=($servers)
for round in $(seq "$rounds"); do
    for turn in $(seq "${#list[@]}"); do
        server=${list[$(((round + turn) % ${#list[@]}))]}
        port=$(free_port)
        dir=$(mktemp -d "$scratch/XXXXXX")
        start_server "$server"
        check "$server" OK SET check 41
        check "$server" 42 INCR check
        check "$server" 42 GET check
        for pipeline in 1 16; do
            total=$requests
            [ "$pipeline" = 1 ] || total=$((requests * 5))
            # It ends with an error at the first error reply; the first run warms up.
            for count in $((total / 10)) "$total"; do
                timeout 120 redis-benchmark -p "$port" -t set,get -c 50 -n "$count" \
                    -P "$pipeline" --csv >"$dir/csv" 2>"$dir/errors" || {
                    echo "kvd.sh: redis-benchmark against $server failed:" >&2
                    tail -5 "$dir/csv" "$dir/errors" "$dir/log" >&2
                    exit 1
                }
            done
            tr -d '"' <"$dir/csv" | awk -F, -v s="$server" -v p="$pipeline" \
                '$1 == "SET" || $1 == "GET" { print s, p, $1, $2 }' >>"$results"
        done
        stop_server
        rm -rf "$dir"
    done
    echo "round $round of $rounds" >&2
done

median() { # server pipeline test
    awk -v s="$1" -v p="$2" -v t="$3" '$1 == s && $2 == p && $3 == t { print $4 }' "$results" |
        sort -n | awk '{ v[NR] = $1 } END { printf "%.0f", v[int((NR + 1) / 2)] }'
}

echo
echo "| server | SET | GET | SET -P 16 | GET -P 16 |"
echo "|---|---:|---:|---:|---:|"
for server in $servers; do
    echo "| $server | $(median "$server" 1 SET) | $(median "$server" 1 GET) |" \
        "$(median "$server" 16 SET) | $(median "$server" 16 GET) |"
done
echo
echo "Requests per second, median of $rounds rounds; $requests requests a test ($((requests * 5))" \
    "with -P 16), 50 clients, $(nproc) cores shared with the client."
