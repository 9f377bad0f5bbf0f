#!/usr/bin/env bash
# A quarter of an hour on a machine with a CUDA GPU: what docs/results.md lacks, most valuable first.
# Each step has a limit of its own, writes its output to runs/gpu/STEP.log as it comes, and is not
# repeated once it has ended well; what fails is said in the table at the end, and the rest goes on.
# No network is needed where python3 has torch and the packages of pyproject.toml, or WHEELS names a
# folder with the wheels that it lacks. Birds are taken from data/ (or BIRDS), images for the score
# model from IMAGES, a folder or a zip. Arguments: the steps to run (default: all).
set -uo pipefail
cd "$(dirname "$0")/.."
export PYTHONPATH=$PWD:$PWD/.wheels${PYTHONPATH:+:$PYTHONPATH} TQDM_MININTERVAL=10
python=${PYTHON:-python3}
birds=${BIRDS:-data}
out=runs/gpu && mkdir -p "$out"
if ! "$python" -c 'import torch' 2>/dev/null; then
    source scripts/setup.sh && python=python
elif [ -n "${WHEELS:-}" ]; then
    "$python" -m pip install --quiet --no-index --find-links "$WHEELS" --no-deps --target .wheels "$WHEELS"/*.whl
fi
wanted=" $* "

# step NAME SECONDS COMMAND...: run the command for at most so long, unless it has ended well before
step() {
    local name=$1 limit=$2 began=$SECONDS code=0
    shift 2
    [ "$wanted" = "  " ] || [[ $wanted == *" $name "* ]] || return 0
    if [ ! -f "$out/$name.done" ]; then
        echo "== $name, at most $limit s: $*"
        timeout --kill-after=10 "$limit" "$@" > "$out/$name.log" 2>&1 || code=$?
        tail -n 3 "$out/$name.log"
        printf '%s\t%s\t%s\n' "$name" "$((SECONDS - began))" "$code" > "$out/$name.row"
        [ "$code" -ne 0 ] || touch "$out/$name.done"
    fi
}

birds_cell() { # birds_cell NAME SECONDS CONFIG: a whole run of a cell whose files are there
    if "$python" -m cizsl data cells "$birds" 2>/dev/null | grep -qx "$3"; then
        step "$1" "$2" "$python" -m cizsl train "$3" compute.precision=tf32 "data.root=$birds" \
            --device cuda --resume --out "$out/$1"
    fi
}

bench() { # bench NAME SECONDS FILE ARGUMENTS...
    step "$1" "$2" "$python" "benchmarks/$3" --device cuda "${@:4}"
}

step machine 20 nvidia-smi --query-gpu=name,memory.total,driver_version --format=csv,noheader
step tests 150 "$python" -m pytest -q -m gpu -p no:cacheprovider
step compact_run 60 "$python" -m cizsl train compact_easy_cizsl --device cuda --resume --out "$out/compact_run"
birds_cell cub_hard_run 120 cub_hard
bench cizsl_tf32 60 bench_cizsl.py --size published --no-plain --precision tf32
bench networks_bf16 90 bench_networks.py --size published --precision bf16 --channels-last --compile
bench networks_float32 60 bench_networks.py --size published
birds_cell nab_hard_run 130 nab_hard
bench cizsl_bf16 60 bench_cizsl.py --size published --no-plain --precision bf16
bench cizsl_compiled 90 bench_cizsl.py --size published --no-plain --precision tf32 --compile
step training 90 "$python" benchmarks/bench_training.py configs/sde/images/cifar10_ddpmpp_vp.yaml \
    --shape 3,32,32 --device cuda
if [ -n "${IMAGES:-}" ]; then
    step scores 300 "$python" -m sde train cifar10_mid data.name=folder "data.path=$IMAGES" \
        --device cuda --resume --out "$out/scores"
fi

printf '\n%-18s %8s  %s\n' step seconds outcome
for row in "$out"/*.row; do
    IFS=$'\t' read -r name seconds code < "$row"
    case $code in 0) outcome=ok ;; 124 | 137) outcome="reached its limit" ;; *) outcome="failed ($code)" ;; esac
    printf '%-18s %8s  %s: %s\n' "$name" "$seconds" "$outcome" "$(tail -n 1 "$out/$name.log" | tr '\r' '\n' | tail -n 1 | cut -c1-100)"
done
