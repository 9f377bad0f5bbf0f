#!/usr/bin/env bash
# Train every cell for which data/ holds the published files, fit the baselines in closed form to the
# same data, and print the table; without them, `compact.sh` takes the built-in real birds.
# Arguments go to every training, such as seed=1.
set -euo pipefail
source "$(dirname "$0")/setup.sh"
cells=$(cizsl data cells data)
[ -n "$cells" ] || exec bash scripts/compact.sh "$@"
for cell in $cells; do
    for method in gazsl "" gazsl_corrected corrected; do
        cizsl train "$cell${method:+_$method}" --resume "$@"
    done
done
cizsl baselines $cells "$@"
cizsl table runs --html runs/table.html
