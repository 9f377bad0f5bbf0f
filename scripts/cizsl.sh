#!/usr/bin/env bash
# Train every cell for which data/ holds the published files; without them the built-in real birds,
# CUB, compact features: each method with three seeds, two runs at a time. Fit the baselines in closed
# form to the same data, and print the table. Arguments go to every training, such as seed=1.
set -euo pipefail
source "$(dirname "$0")/setup.sh"
cells=$(cizsl data cells data)
if [ -n "$cells" ]; then
    for cell in $cells; do
        for method in gazsl "" gazsl_corrected corrected; do
            cizsl train "$cell${method:+_$method}" --resume "$@"
        done
    done
    cizsl baselines $cells "$@"
else
    printf '%s\n' "*** data/ holds no published birds: taking the built-in CUB, compact features. These are real" \
        "*** birds, but not the published features. data/README.md says where those are and where they go." >&2
    seeds=0-2 settings=()
    for argument in "$@"; do
        case $argument in seed=*) seeds=${argument#seed=} ;; *) settings+=("$argument") ;; esac
    done
    for cell in compact_easy compact_hard; do
        cizsl baselines "${cell}_gazsl" ${settings[@]+"${settings[@]}"}
    done
    cizsl sweep compact_{easy,hard}_{gaussian,gazsl,cizsl} --seeds "$seeds" --jobs 2 \
        ${settings[@]+"${settings[@]}"}
fi
cizsl table runs --html runs/table.html
