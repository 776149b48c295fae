#!/usr/bin/env bash
# Build a base image with Python from Debian packages, for machines that cannot pull one: the whole standard library, venv, and
# the shared libraries that numpy, pyarrow and scikit-learn load.
# usage: hack/offline/python-base.sh
. "$(dirname "$0")/../lib.sh"
. "$OFFLINE/rootfs.sh"
need debootstrap:debootstrap
PACKAGES=python3,python3-venv,python-is-python3,ca-certificates,libgomp1,libstdc++6
CERTIFICATES=/etc/ssl/certs/ca-certificates.crt # pip inside a build trusts the same certificates as this machine
INPUTS=$(cat "$0" "$OFFLINE"/{versions.env,rootfs.sh} "$CERTIFICATES" | hash_of)
WORK=$CACHE/python-base

build() {
  bootstrap "$WORK" "$PACKAGES"
  cp "$CERTIFICATES" "$WORK$CERTIFICATES"
  tar -C "$WORK" --numeric-owner -c . | docker import --change "LABEL modelmonitor.inputs=$INPUTS" --change 'CMD ["python3"]' \
    --change 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8' - "$PYTHON_BASE_IMAGE"
  rm -rf "$WORK"
}

image_is "$PYTHON_BASE_IMAGE" "$INPUTS" || step python-base build
