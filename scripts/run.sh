#!/usr/bin/env bash
# Set up the environment if need be, then reproduce the table: on the real birds that data/ holds,
# else on the built-in toy birds. Arguments go to every training, such as seed=1.
set -euo pipefail
source "$(dirname "$0")/setup.sh"
exec bash scripts/cizsl.sh "$@"
