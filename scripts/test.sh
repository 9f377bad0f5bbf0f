#!/usr/bin/env bash
# Set up the environment if need be, then run every test. Arguments go to pytest.
set -euo pipefail
source "$(dirname "$0")/setup.sh"
exec python -m pytest -n "${TEST_WORKERS:-2}" --dist worksteal "$@"
