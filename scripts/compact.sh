#!/usr/bin/env bash
# The built-in real birds, CUB, compact features: the baselines in closed form, then each method with
# three seeds, two runs at a time, and the table. Arguments go to every training, such as seed=1.
# CIZSL_METHODS names other methods: "cizslv2 grawd" are the successors of CIZSL, which take longer.
set -euo pipefail
source "$(dirname "$0")/setup.sh"
printf '%s\n' "*** data/ holds no published birds: taking the built-in CUB, compact features. These are real" \
    "*** birds, but not the published features. data/README.md says where those are and where they go." >&2
seeds=0-2 settings=()
for argument in "$@"; do
    case $argument in seed=*) seeds=${argument#seed=} ;; *) settings+=("$argument") ;; esac
done
methods=(${CIZSL_METHODS:-gaussian gazsl cizsl score})
cizsl baselines compact_{easy,hard}_gazsl ${settings[@]+"${settings[@]}"}
cizsl sweep "${methods[@]/#/compact_easy_}" "${methods[@]/#/compact_hard_}" --seeds "$seeds" --jobs 2 \
    ${settings[@]+"${settings[@]}"}
cizsl table runs --html runs/table.html
