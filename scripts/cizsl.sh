#!/usr/bin/env bash
# Train every cell for which data/ holds files, else the toy cells, fit the baselines in closed form
# to the same data, and print the table.
set -euo pipefail
source "$(dirname "$0")/setup.sh"
cells=$(cizsl data cells data)
if [ -z "$cells" ]; then
    printf '%s\n' "*** data/ holds no birds: training on the built-in TOY birds, which are invented." \
        "*** data/README.md says where the real files are and where they go." >&2
    cizsl data toy data/toy && cells=$(cizsl data cells data/toy | sed 's/^/toy_/')
fi
for cell in $cells; do
    for method in gazsl "" gazsl_corrected corrected; do
        cizsl train "$cell${method:+_$method}" --resume "$@"
    done
done
cizsl baselines $cells "$@"
cizsl table runs --html runs/table.html
