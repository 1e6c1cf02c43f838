#!/usr/bin/env bash
# Makes sure that one small C++ extension can be built; prints the environment for it, if any is needed.
#   compiler.sh RUNTIME PYTHON
# One package of the lock (pyfarmhash) has no wheel. A host with a C++ compiler and Python's headers needs
# nothing; another gets a compiler from the package index and the headers from its own package mirror,
# both under RUNTIME.
set -euo pipefail
runtime=$1 python=$2

say() { printf 'setup: %s\n' "$*" >&2; }
die() { say "$*"; exit 2; }

include=$("$python" -c 'import sysconfig; print(sysconfig.get_path("include"))')
if printf '#include <Python.h>\n' | "${CXX:-c++}" -x c++ -fsyntax-only -I"$include" - 2>/dev/null; then exit 0; fi

say "no C++ compiler or Python headers here: fetching them for this checkout alone"
if [ ! -f "$include/Python.h" ]; then
  release=$(. /etc/os-release && printf '%s' "${VERSION_CODENAME:-}")
  bash bootstrap/fetch.sh "$release" "$runtime/headers" libpython3.11-dev >"$runtime/apt.log" 2>&1 ||
    die "Python's headers are missing, and the host's package mirror did not give them (see .runtime/apt.log). Install python3.11-dev."
  headers=$runtime/headers/usr/include
  printf 'export CPATH=%q\n' "$headers/python3.11:$headers"
fi
compiler=$runtime/tools/bin/python
stamp=$runtime/tools/.compiler
wanted=$(sha256sum bootstrap/compiler.lock | cut -d' ' -f1)
if [ "$(cat "$stamp" 2>/dev/null || true)" != "$wanted" ]; then
  # What an interrupted installation left would be taken for a whole one.
  rm -rf "$stamp" "$runtime"/tools/lib/python3.11/site-packages/ziglang{,-*.dist-info}
  "$runtime/tools/bin/uv" pip install -q --python "$compiler" --require-hashes -r bootstrap/compiler.lock >"$runtime/tools.log" 2>&1 ||
    die "could not install a C++ compiler (see .runtime/tools.log). Install g++."
  printf '%s' "$wanted" >"$stamp"
fi
printf 'export CC=%q CXX=%q LDSHARED=%q LDCXXSHARED=%q\n' "$compiler -m ziglang cc" "$compiler -m ziglang c++" \
  "$compiler -m ziglang cc -shared" "$compiler -m ziglang c++ -shared"
printf 'export ZIG_GLOBAL_CACHE_DIR=%q\n' "$runtime/cache/compiler"
