#!/usr/bin/env bash
# Downloads and unpacks packages of a release from the host's own package mirror, without root.
#   fetch.sh RELEASE FOLDER PACKAGE...
# apt works in private folders with the host's own sources and keyrings, so signatures are checked as
# always; nothing on the host changes. FOLDER appears whole or not at all.
set -euo pipefail
release=$1 folder=$2
shift 2
[ ! -d "$folder" ] || exit 0
command -v apt-get >/dev/null && command -v dpkg >/dev/null || { echo "apt-get and dpkg are not here"; exit 1; }

here=$(. /etc/os-release && printf '%s' "${VERSION_CODENAME:-}")
work=$folder.partial
rm -rf "$work"
mkdir -p "$work"/{sources,lists/partial,cache/archives/partial,state,debs,root}
cp /etc/apt/sources.list.d/*.{list,sources} "$work/sources/" 2>/dev/null || true
[ ! -s /etc/apt/sources.list ] || cp /etc/apt/sources.list "$work/sources/main.list"
# Only the distribution's own entries speak of its release; others (vendors') are dropped.
for file in "$work"/sources/*; do
  if grep -q "$here" "$file" 2>/dev/null; then sed -i "s/\b$here\b/$release/g" "$file"; else rm -f "$file"; fi
done
apt=(apt-get -qq -o Dir::Etc::SourceList=/dev/null -o "Dir::Etc::SourceParts=$work/sources"
  -o "Dir::State=$work/state" -o Dir::State::status=/var/lib/dpkg/status
  -o "Dir::State::Lists=$work/lists" -o "Dir::Cache=$work/cache" -o APT::Sandbox::User="$(id -un)")
"${apt[@]}" update
(cd "$work/debs" && "${apt[@]}" download "$@")
for package in "$work"/debs/*.deb; do dpkg -x "$package" "$work/root"; done
mv "$work/root" "$folder"
rm -rf "$work"
