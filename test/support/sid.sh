#!/usr/bin/env bash
# Counterparts of sinks that only Debian sid has, unpacked into a folder of their own (nothing is installed into this
# system): moto, which answers as CloudWatch, CloudWatch Logs and X-Ray, and the official .proto files of OTLP.
#
#   test/support/sid.sh install      once, as root; 10 s, 20 MB in $WAFERMON_CI_CACHE
#   test/support/sid.sh moto PORT    runs moto on loopback, in the foreground; needs python3-cryptography, python3-yaml
set -euo pipefail

cache=${WAFERMON_CI_CACHE:-/var/cache/wafermon-ci}
system=$cache/sid

# Pure Python, so that Python of this system runs it; markupsafe and wrapt are compiled, and come from this system.
pure=(python3-{moto,aws-xray-sdk,antlr4,dateutil,jmespath,urllib3,certifi,idna,chardet,requests,botocore,blinker}
  python3-{s3transfer,boto3,click,itsdangerous,jinja2,werkzeug,flask,flask-cors,responses,xmltodict,multipart}
  python3-{typing-extensions,six} opentelemetry-proto)
own=(python3-markupsafe python3-wrapt)

install() {
  [ ! -e "$system/usr/share/doc/python3-moto" ] || return 0
  local partial=$system.partial
  rm -rf "$partial"
  mkdir -p "$partial"/apt/{lists/partial,archives/partial} "$partial/debs"
  fetch "$partial" >"$cache/sid.log" 2>&1 || { tail -20 "$cache/sid.log" >&2; return 1; }
  rm -rf "$system" "$partial/debs" "$partial/apt"
  mv "$partial" "$system"
}

# A configuration of apt that knows sid, and leaves that of this system alone.
fetch() {
  local partial=$1 mirror
  mirror=${DEBIAN_MIRROR:-$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | head -1)}
  cd "$partial"
  touch apt/status
  echo "deb [trusted=yes] $mirror sid main" >apt/sources.list
  printf '%s "%s";\n' Dir::Etc::sourcelist "$partial/apt/sources.list" Dir::Etc::sourceparts - \
    Dir::State "$partial/apt" Dir::State::status "$partial/apt/status" Dir::Cache "$partial/apt" \
    Acquire::Check-Valid-Until false APT::Sandbox::User root Acquire::Retries 3 >apt/conf
  APT_CONFIG=apt/conf apt-get -q update
  (cd debs && APT_CONFIG=../apt/conf apt-get -q download "${pure[@]}" && apt-get -q download "${own[@]}")
  for deb in debs/*.deb; do dpkg -x "$deb" .; done
}

moto() {
  PYTHONPATH=$system/usr/lib/python3/dist-packages AWS_DEFAULT_REGION=eu-central-1 \
    exec /usr/bin/python3 -c 'from moto.server import main; main()' -H 127.0.0.1 -p "$1"
}

"$@"
