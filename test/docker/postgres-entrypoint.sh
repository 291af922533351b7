#!/bin/sh
# Makes the cluster at the first start, as the official image of PostgreSQL does with these variables, and starts it.

set -eu
if ! [ -s "$PGDATA/PG_VERSION" ]; then
  install -d -o postgres -g postgres -m 700 "$PGDATA"
  install -o postgres -m 400 "$POSTGRES_PASSWORD_FILE" /tmp/password
  setpriv --reuid postgres --regid postgres --init-groups \
    initdb --username="$POSTGRES_USER" --pwfile=/tmp/password --auth-local=trust --auth-host=scram-sha-256 >/dev/null
  rm /tmp/password
  echo 'host all all all scram-sha-256' >>"$PGDATA/pg_hba.conf"
  setpriv --reuid postgres --regid postgres --init-groups sh -c \
    "echo 'CREATE DATABASE \"$POSTGRES_DB\"' | postgres --single -D '$PGDATA' postgres >/dev/null"
fi
exec setpriv --reuid postgres --regid postgres --init-groups \
  postgres -c listen_addresses='*' -c unix_socket_directories=/tmp
