#!/usr/bin/env bash
# TimescaleDB for tests, on Debian, as root: the packages of Debian 13 in a folder of their own
# (nothing is installed into this system), started on a free loopback port.
#
#   test/support/timescale.sh install        once; a minute, 700 MB in $WAFERMON_CI_CACHE
#   test/support/timescale.sh start DIR      prints the address for TEST_TIMESCALE_URL; settings of the
#                                            server may follow, fsync=on full_page_writes=on for a bench
#   test/support/timescale.sh stop DIR       DIR keeps the process id and where the data is
set -euo pipefail

cache=${WAFERMON_CI_CACHE:-/var/cache/wafermon-ci}
system=$cache/trixie
bin=/usr/lib/postgresql/17/bin

install() {
  [ -e "$system/usr/lib/postgresql/17/lib/timescaledb.so" ] && return
  mkdir -p "$cache"
  local partial=$system.partial
  rm -rf "$partial"
  # The mirror is debootstrap's own unless $DEBIAN_MIRROR names another.
  debootstrap --variant=minbase --include=postgresql-17-timescaledb trixie "$partial" \
    ${DEBIAN_MIRROR:-} >"$cache/debootstrap.log" 2>&1 || { tail -20 "$cache/debootstrap.log" >&2; return 1; }
  mv "$partial" "$system"
}

# To be run as a command of a subshell: it becomes that command, so that $! is its process id.
inside() { exec chroot --userspec=postgres:postgres "$system" env -i PATH=/usr/bin:/bin LC_ALL=C.UTF-8 "$@"; }

free_port() {
  node -e 'const s=require("net").createServer().listen(0,"127.0.0.1",()=>{console.log(s.address().port);s.close()})'
}

start() {
  local dir=$1 data port settings=()
  shift
  for setting in "$@"; do settings+=(-c "$setting"); done
  data=$(mktemp -d "$system/var/lib/postgresql/test-XXXXXX")
  chroot "$system" chown postgres:postgres "${data#"$system"}"
  echo "$data" >"$dir/timescale.data"
  data=${data#"$system"}
  (inside "$bin/initdb" -D "$data" --username=postgres --auth=trust --encoding=UTF8 --no-sync) \
    >"$dir/timescale.log"
  port=$(free_port)
  # Its jobs are called by the tests; workers of its own would look into the databases they clone.
  inside "$bin/postgres" -D "$data" -p "$port" -c listen_addresses=127.0.0.1 \
    -c unix_socket_directories= -c shared_preload_libraries=timescaledb \
    -c timescaledb.telemetry_level=off -c timescaledb.max_background_workers=0 \
    -c dynamic_shared_memory_type=mmap -c max_connections=300 -c fsync=off -c full_page_writes=off \
    "${settings[@]}" </dev/null >>"$dir/timescale.log" 2>&1 &
  echo $! >"$dir/timescale.pid"
  for _ in $(seq 200); do
    if (inside "$bin/pg_isready" -q -h 127.0.0.1 -p "$port"); then
      echo "postgres://postgres@127.0.0.1:$port/postgres"
      return
    fi
    kill -0 "$(cat "$dir/timescale.pid")" 2>/dev/null || break
    sleep 0.1
  done
  cat "$dir/timescale.log" >&2
  return 1
}

stop() {
  local dir=$1 pid
  [ -e "$dir/timescale.pid" ] || return 0
  pid=$(cat "$dir/timescale.pid")
  kill -INT "$pid" 2>/dev/null || true
  for _ in $(seq 200); do kill -0 "$pid" 2>/dev/null || break; sleep 0.1; done
  kill -KILL "$pid" 2>/dev/null || true
  rm -rf "$(cat "$dir/timescale.data")" "$dir/timescale.pid" "$dir/timescale.data"
}

"$@"
