#!/usr/bin/env bash
# A real Zabbix 6.0 for tests, on Debian 12, as root: server, database and the API of its web interface, each on a
# free loopback port. The packages start no services of their own.
#
#   test/support/zabbix.sh install       once; the web interface is unpacked into $WAFERMON_CI_CACHE
#   test/support/zabbix.sh start DIR     prints the ports of trapper, database and API
#   test/support/zabbix.sh kill DIR      kill -9 of the server and of all its processes
#   test/support/zabbix.sh serve DIR     starts the server again
#   test/support/zabbix.sh stop DIR
set -euo pipefail

cache=${WAFERMON_CI_CACHE:-/var/cache/wafermon-ci}
web=$cache/zabbix-web
share=/usr/share/zabbix-server-pgsql

install() {
  local wanted=(zabbix-server-pgsql postgresql php-cli php-pgsql php-bcmath php-mbstring php-gd php-xml)
  local missing=()
  for package in "${wanted[@]}"; do
    dpkg -s "$package" >/dev/null 2>&1 || missing+=("$package")
  done
  export DEBIAN_FRONTEND=noninteractive
  if [ ${#missing[@]} -gt 0 ]; then
    apt-get update -q -o Acquire::Retries=3 >/dev/null
    apt-get install -y -q --no-install-recommends "${missing[@]}" >/dev/null
  fi
  [ -e "$web/usr/share/zabbix/api_jsonrpc.php" ] && return
  # Unpacked, not installed: the package wants a web server.
  rm -rf "$web.partial" && mkdir -p "$web.partial"
  (cd "$web.partial" && chmod 755 . && apt-get download -q zabbix-frontend-php >/dev/null && dpkg -x ./*.deb .)
  mv "$web.partial" "$web"
}

bin() { ls -d /usr/lib/postgresql/*/bin | sort -V | tail -1; }
as() { setpriv --reuid=postgres --regid=postgres --clear-groups env -i PATH=/usr/bin:/bin:/usr/sbin LC_ALL=C.UTF-8 "$@"; }
sql() { as psql -q -At -v ON_ERROR_STOP=1 -h 127.0.0.1 -p "$(cat "$dir/port.db")" -U zabbix -d postgres "$@"; }

# Zabbix takes no port over 32767.
free_port() {
  node -e '
    const { createServer } = require("node:net")
    const look = () => {
      const port = 20000 + Math.floor(Math.random() * 12000)
      const server = createServer().on("error", look)
      server.listen(port, "127.0.0.1", () => server.close(() => console.log(port)))
    }
    look()'
}

start() {
  mkdir -p "$dir" && chown postgres "$dir" && chmod 711 "$dir"
  for part in trapper db api; do free_port >"$dir/port.$part"; done
  database
  configure
  serve
  api
  echo "$(cat "$dir/port.trapper") $(cat "$dir/port.db") $(cat "$dir/port.api")"
}

# The schema, and of the data no more than users need: no hosts, no templates.
database() {
  as "$(bin)/initdb" -D "$dir/pg" -A trust -U zabbix -E UTF8 --no-sync >"$dir/initdb.log"
  as "$(bin)/pg_ctl" -D "$dir/pg" -w -s -l "$dir/pg.log" -t 120 start \
    -o "-p $(cat "$dir/port.db") -h 127.0.0.1 -c unix_socket_directories= -c fsync=off"
  {
    echo 'begin;'
    zcat "$share/schema.sql.gz"
    zcat "$share/data.sql.gz" |
      grep -E '^INSERT INTO (role|role_rule|users|usrgrp|users_groups|hstgrp|config) '
    echo 'commit;'
  } | sql >"$dir/schema.log" 2>&1 || { tail -5 "$dir/schema.log" >&2; return 1; }
}

configure() {
  cat >"$dir/zabbix.conf" <<CONF
ListenIP=127.0.0.1
ListenPort=$(cat "$dir/port.trapper")
DBHost=127.0.0.1
DBPort=$(cat "$dir/port.db")
DBName=postgres
DBUser=zabbix
LogType=file
LogFile=$dir/zabbix.log
PidFile=$dir/zabbix.pid
SocketDir=$dir
CacheUpdateFrequency=1
StartTrappers=2
StartPollers=1
StartPollersUnreachable=1
StartPreprocessors=1
StartLLDProcessors=1
StartPingers=0
StartDiscoverers=0
StartHTTPPollers=0
StartHistoryPollers=0
StartEscalators=1
CONF
}

serve() {
  as zabbix_server -c "$dir/zabbix.conf"
  for _ in $(seq 300); do
    (exec 3<>"/dev/tcp/127.0.0.1/$(cat "$dir/port.trapper")") 2>/dev/null && return
    sleep 0.1
  done
  tail -20 "$dir/zabbix.log" >&2
  return 1
}

# The web interface for its API alone, by the server that PHP has for development.
api() {
  cp -al "$web/usr/share/zabbix" "$dir/web"
  local file=$dir/web/include/classes/core/CConfigFile.php
  sed -i "s#/etc/zabbix/zabbix.conf.php#$dir/zabbix.conf.php#" "$file"
  chmod 644 "$file"
  cat >"$dir/zabbix.conf.php" <<CONF
<?php
\$DB = ['TYPE' => 'POSTGRESQL', 'SERVER' => '127.0.0.1', 'PORT' => '$(cat "$dir/port.db")', 'DATABASE' => 'postgres',
  'USER' => 'zabbix', 'PASSWORD' => '', 'SCHEMA' => '', 'ENCRYPTION' => false, 'VERIFY_HOST' => false,
  'DOUBLE_IEEE754' => true];
\$IMAGE_FORMAT_DEFAULT = IMAGE_FORMAT_PNG;
CONF
  as php -S "127.0.0.1:$(cat "$dir/port.api")" -t "$dir/web" </dev/null >"$dir/php.log" 2>&1 &
  echo $! >"$dir/php.pid"
}

# The server is a parent and its children, all of one group.
signal() {
  local pid
  pid=$(cat "$dir/zabbix.pid" 2>/dev/null) || return 0
  local all=("$pid" $(pgrep -P "$pid" || true))
  builtin kill "-$1" "${all[@]}" 2>/dev/null || true
  for _ in $(seq 300); do
    pgrep -F "$dir/zabbix.pid" >/dev/null 2>&1 || break
    sleep 0.1
  done
}

stop() {
  signal KILL
  if [ -e "$dir/php.pid" ]; then builtin kill -KILL "$(cat "$dir/php.pid")" 2>/dev/null || true; fi
  [ ! -e "$dir/pg/postmaster.pid" ] || as "$(bin)/pg_ctl" -D "$dir/pg" -s -m immediate stop || true
  [ -z "$dir" ] || rm -rf "$dir"
}

dir=${2:-}
case $1 in
  install | start | serve | stop) "$1" ;;
  kill) signal KILL && rm -f "$dir/zabbix.pid" ;;
  *) echo "unknown: $1" >&2; exit 2 ;;
esac
