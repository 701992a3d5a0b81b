#!/bin/sh
# Makes what compose.yaml calls secrets: random keys and passwords, and a certificate to try with. What is there already is kept.
#
#   deploy/compose/make-secrets.sh [DIRECTORY] [HOST]      by default deploy/compose/secrets, localhost
#
# The directory is its owner's alone. The files in it can be read by anybody, because each is mounted by itself into containers
# whose users have other numbers. Put your own certificate (with its chain) and key in place of tls_certificate and tls_key.
set -eu

directory=${1:-$(dirname "$0")/secrets}
host=${2:-localhost}

command -v openssl >/dev/null || { echo "needs openssl" >&2; exit 2; }
umask 077
mkdir -p "$directory"
chmod 700 "$directory"
cd "$directory"

keep() { # keep NAME: standard input becomes the file, unless it is there
  if [ -e "$1" ]; then
    cat >/dev/null
    echo "kept $1"
  else
    cat >"$1.new"
    chmod 444 "$1.new"
    mv "$1.new" "$1"
    echo "made $1"
  fi
}

openssl rand -hex 32 | keep secret_key
openssl rand -hex 24 | keep metrics_token
openssl rand -hex 24 | keep postgres_password
printf 'postgresql://patient_access:%s@database/patient_access\n' "$(cat postgres_password)" | keep database_url

if [ -e tls_certificate ] && [ -e tls_key ]; then
  echo "kept tls_certificate and tls_key"
else
  rm -f tls_certificate tls_key
  case $host in
    *:*) kind=IP ;;
    *[!0-9.]*) kind=DNS ;;
    *) kind=IP ;;
  esac
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 90 -subj "/CN=$host" \
    -addext "subjectAltName=$kind:$host" -addext "basicConstraints=critical,CA:FALSE" \
    -keyout tls_key -out tls_certificate 2>/dev/null
  chmod 444 tls_key tls_certificate
  echo "made tls_certificate and tls_key for $host, to try with"
fi
