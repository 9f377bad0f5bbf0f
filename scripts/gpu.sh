#!/usr/bin/env bash
# What docs/results.md lacks: on a machine with a CUDA GPU, the tests that need one, the benchmarks at
# the published sizes, the birds that lie in data/ at full length, and twenty minutes of CIFAR-10,
# downloaded or, with IMAGES=FILE, a folder or zip of such images. The log is runs/gpu.log; what fails
# is said in it, and the rest goes on. Arguments go to pytest.
set -uo pipefail
source "$(dirname "$0")/setup.sh"
mkdir -p runs && exec > >(tee runs/gpu.log) 2>&1
nvidia-smi --query-gpu=name,memory.total,driver_version --format=csv,noheader
pytest -q -m gpu "$@"
for how in "float32" "tf32" "bf16" "tf32 --compile"; do
    python benchmarks/bench_cizsl.py --size published --size nab --device cuda --no-plain --precision $how
    python benchmarks/bench_networks.py --size small published --device cuda --precision $how
done
python benchmarks/bench_networks.py --size published --device cuda --precision bf16 --channels-last --compile
python benchmarks/bench_training.py configs/sde/images/cifar10_ddpmpp_vp.yaml --shape 3,32,32 --device cuda
for cell in $(cizsl data cells data); do
    time cizsl train "$cell" compute.precision=tf32 --device cuda --resume --out "runs/gpu_$cell"
done
time sde train cifar10_mid ${IMAGES:+data.name=folder data.path="$IMAGES"} --device cuda --resume --out runs/gpu_cifar10
for what in sample likelihood evaluate; do sde $what runs/gpu_cifar10 --device cuda; done
