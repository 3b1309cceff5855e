#!/usr/bin/env bash
# What noting down the reason of each wait costs: the same works with and without it, alternating.
# Usage: benches/wait_notes.sh [rounds]
set -euo pipefail
cd "$(dirname "$0")/.."
rounds=${1:-7}
build() { # name, extra flags
    RUSTFLAGS="$2" CARGO_TARGET_DIR="target/notes-$1" \
        cargo build --release --quiet -p benches --bin versus
}
build with ""
build without "--cfg actor_no_wait_notes"
for _ in $(seq "$rounds"); do
    for variant in with without; do
        for work in "ask" "ping-pong"; do
            "target/notes-$variant/release/versus" --quick --rounds 3 --peer actor-core --only "$work" 2>/dev/null |
                awk -F'|' -v variant="$variant" '$3 ~ /[0-9]/ { gsub(" ", "", $3); print variant "|" $2 "|" $3 }'
        done
    done
done | sort -t'|' -k2,2 -k1,1 -k3,3n | awk -F'|' '
    { key = $1 "|" $2; n[key]++; value[key, n[key]] = $3 }
    END { for (key in n) { split(key, part, "|")
          printf "%-28s %-8s least %7.1f  median %7.1f\n", part[2], part[1], value[key, 1], value[key, int((n[key] + 1) / 2)] } }' | sort
