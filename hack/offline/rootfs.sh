# shellcheck shell=bash
# Sourced after lib.sh by the scripts that build an image from Debian packages.

# bootstrap FOLDER PACKAGE,...: install a minimal Debian in FOLDER. The result is cached as a tar for each list of packages.
bootstrap() {
  local folder=$1 packages=$2 tar mirror
  tar=$CACHE/rootfs-$(echo "$DEBIAN_SUITE $packages" | hash_of).tar
  rm -rf "$folder"
  mkdir -p "$folder"
  if [ ! -f "$tar" ]; then
    # The mirror this machine's own apt uses.
    # shellcheck disable=SC2016  # $(REPO_URI) is apt's
    mirror=${DEBIAN_MIRROR:-$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | awk '/\/debian\/?$/ && !seen++')}
    [ -n "$mirror" ] || die "set DEBIAN_MIRROR: apt on this machine uses no Debian mirror"
    debootstrap --variant=minbase --cache-dir="$CACHE/debs" --include="$packages" "$DEBIAN_SUITE" "$folder" "$mirror"
    rm -rf "$folder"/var/cache/apt/* "$folder"/var/lib/apt/lists/* "$folder"/usr/share/{doc,man,locale,info}/* "$folder"/var/log/*.log
    tar -C "$folder" --numeric-owner -cf "$tar.part" .
    mv "$tar.part" "$tar"
    rm -rf "${folder:?}"/*
  fi
  tar -C "$folder" --numeric-owner -xf "$tar"
}

# archive IMAGE FOLDER CONFIG-JSON: write FOLDER as a docker archive of one layer to standard output. (`docker import` cannot
# set a stop signal, which kind's node needs.)
archive() {
  local work digest
  work=$(mktemp -d "$CACHE/archive.XXXXXX")
  tar -C "$2" --sort=name --mtime=@0 --numeric-owner --xattrs --xattrs-include='*' -cf "$work/layer.tar" .
  digest=$(sha256sum "$work/layer.tar" | cut -d' ' -f1)
  jq -n --argjson config "$3" --arg digest "sha256:$digest" --arg arch "$(dpkg --print-architecture)" \
    '{architecture: $arch, os: "linux", $config, rootfs: {type: "layers", diff_ids: [$digest]}}' >"$work/config.json"
  jq -n --arg image "$1" '[{Config: "config.json", RepoTags: [$image], Layers: ["layer.tar"]}]' >"$work/manifest.json"
  tar -C "$work" -cf - manifest.json config.json layer.tar
  rm -rf "$work"
}
