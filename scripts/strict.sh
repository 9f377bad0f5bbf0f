#!/usr/bin/env bash
# For every cell for which data/ holds files (else the toy cells): choose the creativity weight and
# the duration on validation classes, train once on all seen classes, look at the test classes once,
# and print the table. Arguments go to `cizsl sweep`, such as --seeds 0-4 --jobs 2.
set -euo pipefail
source "$(dirname "$0")/setup.sh"
cells=$(cizsl data cells data)
if [ -z "$cells" ]; then
    echo "*** data/ holds no birds: taking the built-in TOY birds, which are invented." >&2
    cizsl data toy data/toy && cells=$(cizsl data cells data/toy | sed 's/^/toy_/')
fi
exec cizsl sweep $(printf '%s_strict ' $cells) --html runs/strict.html "$@"
