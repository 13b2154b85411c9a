#!/usr/bin/env bash
# Tests the Python package as a user gets it: the wheel in an environment of its own, below target/.
# Where Python or its packages cannot be had, this says so and is no failure. EEGCACHE_TORCH=1 installs PyTorch
# (gigabytes); a PyTorch that is there is used. `test.sh prepare` makes the environment and no more.
set -euo pipefail
cd "$(dirname "$0")/.."
venv="$PWD/target/python"
# Unpacked, with its archives beside it for a while.
torch_gigabytes=10

skip() { echo "skipped: the Python package was not tested: $1" >&2; exit 0; }

python="${EEGCACHE_PYTHON:-$(command -v python3 || true)}"
[ -n "$python" ] || skip "there is no python3"
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 9))' || skip "$python is older than 3.9"
if ! "$venv/bin/python" -c 'import maturin, numpy, pandas, pytest, tqdm' 2>/dev/null; then
    "$python" -m venv "$venv" || skip "no environment could be made (python3-venv)"
    "$venv/bin/pip" install --quiet --disable-pip-version-check 'maturin>=1.9,<2' 'numpy>=1.22' 'pytest>=8' pandas tqdm ||
        skip "pip could not install maturin, NumPy and pytest"
fi
if [ -n "${EEGCACHE_TORCH:-}" ] && ! "$venv/bin/python" -c 'import torch' 2>/dev/null; then
    free=$(df -Pk "$venv" | awk 'NR == 2 { print int($4 / 1048576) }')
    if [ "$free" -lt "$torch_gigabytes" ]; then
        echo "skipped: PyTorch takes $torch_gigabytes GB of disk, $free GB are free: what needs it is not tested" >&2
    else
        timeout 600 "$venv/bin/pip" install --quiet --disable-pip-version-check --no-cache-dir 'torch>=2.1' ||
            echo "skipped: pip could not install PyTorch in time: what needs it is not tested" >&2
    fi
fi

[ "${1:-test}" != prepare ] || exit 0

rm -rf target/wheels
"$venv/bin/maturin" build --quiet --profile "${EEGCACHE_PROFILE:-release}" --manifest-path python/Cargo.toml --out target/wheels
[ "${1:-test}" = test ] || exit 0
"$venv/bin/pip" install --quiet --disable-pip-version-check --force-reinstall --no-deps target/wheels/*.whl
exec "$venv/bin/python" -m pytest -q -rs -p no:cacheprovider python/tests
