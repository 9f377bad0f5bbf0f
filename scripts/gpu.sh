#!/usr/bin/env bash
# A quarter of an hour on a machine with a CUDA GPU: what docs/results.md lacks, most valuable first
# (benchmarks/gpu.py says what, and which variables name birds and images). No network is needed
# where python3 has torch and the packages of pyproject.toml, or WHEELS names a folder with those
# that it lacks. Arguments: the steps to run (default: all).
set -euo pipefail
cd "$(dirname "$0")/.."
export PYTHONPATH=$PWD:$PWD/.wheels${PYTHONPATH:+:$PYTHONPATH}
python=${PYTHON:-python3}
if ! "$python" -c 'import torch' 2>/dev/null; then
    source scripts/setup.sh && python=python
elif [ -n "${WHEELS:-}" ]; then
    "$python" -m pip install --quiet --no-index --no-deps --target .wheels "$WHEELS"/*.whl
fi
exec "$python" benchmarks/gpu.py "$@"
