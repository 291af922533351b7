#!/bin/sh
# Makes an image that stands in for node:24-slim where no registry of images can be reached: Debian's smallest system by
# debootstrap, and in it the Node and the npm of this machine, at the places where the official image has them.
#
#   test/docker/base-image.sh [image]
#
# Needs root, debootstrap and podman. CONTAINERS_STORAGE_CONF and STORAGE_DRIVER say where podman keeps images.

set -eu
image=${1:-docker.io/library/node:24-slim}
suite=${SUITE:-bookworm}
mirror=${MIRROR:-http://deb.debian.org/debian}
node=$(node -p process.execPath)
npm=$(npm root -g)/npm

root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
chmod 755 "$root"
debootstrap --variant=minbase --include=ca-certificates,netbase,tzdata "$suite" "$root" "$mirror" >"$root.log" 2>&1 ||
  { tail -n 20 "$root.log" >&2; exit 1; }
rm -rf "$root.log" "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/* "$root"/usr/share/doc/* \
  "$root"/usr/share/man/* "$root"/usr/share/locale/*
# Who is behind a proxy that has its own certificates trusts it in containers too.
cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/ca-certificates.crt"

install -D -m 755 "$node" "$root/usr/local/bin/node"
mkdir -p "$root/usr/local/lib/node_modules" "$root/usr/local/etc"
cp -rL "$npm" "$root/usr/local/lib/node_modules/npm"
ln -s ../lib/node_modules/npm/bin/npm-cli.js "$root/usr/local/bin/npm"
ln -s ../lib/node_modules/npm/bin/npx-cli.js "$root/usr/local/bin/npx"
echo 'cafile=/etc/ssl/certs/ca-certificates.crt' >"$root/usr/local/etc/npmrc"
echo 'node:x:1000:1000::/home/node:/bin/bash' >>"$root/etc/passwd"
echo 'node:x:1000:' >>"$root/etc/group"

tar -C "$root" --numeric-owner -c . | podman import --quiet \
  --change 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' --change 'CMD ["node"]' - "$image"
