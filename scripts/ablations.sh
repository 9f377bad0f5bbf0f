#!/usr/bin/env bash
# Train every ablation of one configuration and print their table: ablations.sh [CONFIG] ...
# The default is the toy birds; other arguments go to `cizsl sweep`, such as --seeds 0-4 --jobs 2.
set -euo pipefail
source "$(dirname "$0")/setup.sh"
config=toy_cub_easy_corrected
case "${1:-}" in "" | -* | *=*) ;; *) config=$1 && shift ;; esac
case $config in *toy_*) [ -d data/toy ] || cizsl data toy data/toy ;; esac
exec cizsl sweep "$config" --variants configs/variants/ablations.yaml --out runs/ablations \
    --html runs/ablations.html "$@"
