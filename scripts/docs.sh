#!/usr/bin/env bash
# Build the site into docs/_build; a warning is an error. Arguments go to Sphinx, such as -j 2.
set -euo pipefail
source "$(dirname "$0")/setup.sh"
python -c 'import furo, myst_parser, sphinx' 2>/dev/null ||
    python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[docs]'
python -m sphinx -W --keep-going -q -b html "$@" docs docs/_build
echo "docs/_build/index.html"
