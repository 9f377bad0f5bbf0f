# Sourced by the scripts beside it: a virtual environment with the pinned packages, made once.
cd "$(dirname "${BASH_SOURCE[0]}")/.."
if [ ! -f .venv/.ready ] || [ constraints.txt -nt .venv/.ready ] || [ pyproject.toml -nt .venv/.ready ]; then
    "${PYTHON:-python3}" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
        { echo "Python 3.11 or newer is needed; name one with PYTHON=..." >&2; exit 2; }
    echo "making .venv: once, minutes, most of them for the download of torch" >&2
    "${PYTHON:-python3}" -m venv .venv
    .venv/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch
    .venv/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[test]'
    touch .venv/.ready
fi
PATH="$PWD/.venv/bin:$PATH"
