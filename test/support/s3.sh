#!/usr/bin/env bash
# A real S3 server for tests, on Debian, as root: Ceph RGW 18.2 of Debian 13, in the folder that timescale.sh makes.
#
#   test/support/s3.sh install         once: half a minute, 580 MB more in $WAFERMON_CI_CACHE/trixie
#   test/support/s3.sh start DIR       200 MB of memory; prints the address. Key AKWAFERMON, secret secretwafermon
#   test/support/s3.sh user DIR NAME   another user: key NAME, secret secretNAME
#   test/support/s3.sh stop DIR        DIR keeps the process ids and where the data is
set -euo pipefail
system=${WAFERMON_CI_CACHE:-/var/cache/wafermon-ci}/trixie
clean=(env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8)
install() {
  [ -e "$system/usr/bin/radosgw" ] && return
  [ -e "$system/usr/bin/apt-get" ] || { echo "s3.sh: there is no $system; timescale.sh install makes it" >&2; return 1; }
  chroot "$system" "${clean[@]}" DEBIAN_FRONTEND=noninteractive sh -c \
    'apt-get update -q && apt-get install -y -q --no-install-recommends radosgw ceph-mon ceph-osd ceph-common' >"$system/../ceph.log" 2>&1 || { tail -20 "$system/../ceph.log" >&2; return 1; }
}

free_port() { node -e 'const s=require("net").createServer().listen(0,"127.0.0.1",()=>{console.log(s.address().port);s.close()})'; }

inside() { chroot "$system" "${clean[@]}" "$@"; }

daemon() { # NAME COMMAND...: its process id goes to the list
  local name=$1; shift
  (exec chroot "$system" "${clean[@]}" "$@" </dev/null >>"$root/$name.out" 2>&1) & echo $! >>"$dir/s3.pids"
}

start() {
  dir=$1; root=$(mktemp -d "$system/var/lib/ceph-test-XXXXXX"); echo "$root" >"$dir/s3.data"; : >"$dir/s3.pids"
  local d=${root#"$system"} mon rgw osd id c
  mon=$(free_port); rgw=$(free_port); osd=$(free_port); id=$(cat /proc/sys/kernel/random/uuid); c=(-c "$d/ceph.conf")
  mkdir -p "$root"/{mon,osd,rgw}
  cat >"$root/ceph.conf" <<C
[global]
fsid = $id
mon initial members = a
mon host = [v2:127.0.0.1:$mon/0]
ms bind ipv6 = false
public addr = 127.0.0.1
cluster addr = 127.0.0.1
ms bind port min = $osd
ms bind port max = $((osd + 40))
auth cluster required = none
auth service required = none
auth client required = none
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 1
osd pool default pgp num = 1
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
mon allow pool size one = true
mon max pg per osd = 1000
osd objectstore = memstore
memstore device bytes = 4294967296
mon data = $d/mon
osd data = $d/osd
run dir = $d
admin socket =
log file = $d/\$name.log
[client.rgw.a]
# Its default is "secure", which there is not without keys: without this line it waits for ever.
ms mon client mode = crc
# Without tcp_nodelay every GET takes 40 ms.
rgw frontends = beast endpoint=127.0.0.1:$rgw tcp_nodelay=1
rgw data = $d/rgw
rgw run sync thread = false
# A day of a lifecycle rule lasts so many seconds.
rgw lc debug interval = 10
rgw gc obj min wait = 5
rgw gc processor period = 5
C
  inside monmaptool --create --fsid "$id" --addv a "[v2:127.0.0.1:$mon/0]" "$d/monmap" >/dev/null
  inside ceph-mon --mkfs -i a --monmap "$d/monmap" "${c[@]}" >/dev/null 2>&1
  daemon mon ceph-mon -f -i a "${c[@]}"
  local uuid; uuid=$(cat /proc/sys/kernel/random/uuid)
  inside ceph "${c[@]}" osd new "$uuid" 0 >/dev/null
  inside ceph-osd -i 0 --mkfs --osd-uuid "$uuid" "${c[@]}" >/dev/null 2>&1
  daemon osd ceph-osd -f -i 0 "${c[@]}"
  for _ in $(seq 100); do inside ceph "${c[@]}" osd stat 2>/dev/null | grep -q '1 up' && break; sleep 0.2; done
  daemon rgw radosgw -f -n client.rgw.a "${c[@]}"
  for _ in $(seq 200); do (exec 3<>"/dev/tcp/127.0.0.1/$rgw") 2>/dev/null && break; sleep 0.2; done
  inside radosgw-admin "${c[@]}" -n client.rgw.a user create --uid=test --display-name=test \
    --access-key=AKWAFERMON --secret-key=secretwafermon >/dev/null
  echo "http://127.0.0.1:$rgw"
}

user() {
  root=$(cat "$1/s3.data")
  inside radosgw-admin -c "${root#"$system"}/ceph.conf" -n client.rgw.a user create --uid="$2" --display-name="$2" \
    --access-key="$2" --secret-key="secret$2" >/dev/null
}

stop() {
  [ -e "$1/s3.pids" ] || return 0
  for pid in $(tac "$1/s3.pids"); do kill -KILL "$pid" 2>/dev/null || true; done
  rm -rf "$(cat "$1/s3.data")" "$1/s3.pids" "$1/s3.data"
}

"$@"
