#!/bin/sh
# Makes the secrets that docker/compose.yaml mounts: random ones, in files of docker/secrets/. Those that are there stay.
#
# The folder is for its owner alone. The files in it are for everybody to read: a container's user is none of this host.

set -eu
umask 022
folder=$(CDPATH='' cd -- "$(dirname "$0")" && pwd)/secrets
mkdir -p "$folder"
chmod 700 "$folder"

random() { head -c 32 /dev/urandom | od -An -v -tx1 | tr -d ' \n'; }

# NAME TEXT: nothing where there is one already
keep() {
  [ -s "$folder/$1" ] && return
  printf '%s\n' "$2" >"$folder/$1.new"
  mv "$folder/$1.new" "$folder/$1"
  echo "made $folder/$1"
}

keep admin-key "hr_$(random)"
keep runtime-token "$(random)"
keep metrics-token "$(random)"
# 32 bytes: upstreams' keys are stored under it. Without it they can't be read again; keep a copy elsewhere.
keep secret-key "$(random)"
keep grafana-password "$(random)"

keep postgres-password "$(random)"
keep database-url "postgresql://headrace:$(cat "$folder/postgres-password")@postgres:5432/headrace"

redis=$(random)
[ -s "$folder/redis.conf" ] || rm -f "$folder/redis-url"
keep redis.conf "requirepass $redis
maxmemory 384mb
maxmemory-policy volatile-lru
save \"\"
appendonly no
dir /tmp"
keep redis-url "redis://:$redis@redis:6379"

rabbitmq=$(random)
[ -s "$folder/rabbitmq.conf" ] || rm -f "$folder/broker-url"
keep rabbitmq.conf "default_user = headrace
default_pass = $rabbitmq"
keep broker-url "amqp://headrace:$rabbitmq@rabbitmq:5672"
