#!/usr/bin/env bash
# Set up the environment if need be, then answer the questions of docs/questions.md: draw the
# figures and print the numbers. Arguments: which questions (all by default), --out FOLDER.
set -euo pipefail
source "$(dirname "$0")/setup.sh"
exec python -m examples "$@"
