"""What the score U-Nets cost: forward, and a training step, at three sizes.

    python benchmarks/bench_networks.py [--size tiny small published] [--device cuda]
        [--precision float32|tf32|bf16] [--compile] [--channels-last] [--threads 1] [--repeat 15]
        [--cpu-time]

Each network is timed in turn with the same one in straightforward form
(tests/helpers/oracles_networks.py: filters over inserted zeros, one channel at a time; attention
with all pairs of pixels in memory), so that a machine whose speed drifts slows both. A training
step is loss, gradient, clipping, Adam and the average of the weights. Printed: median [least]
milliseconds, the ratio of the medians, the floating-point operations by PyTorch's counter, their
rate as a share of what one large matrix product reaches in the same run and precision, and the
memory that forward keeps for backward.
"""

import argparse
import copy
import statistics
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from repro import config as configuration
from repro.device import precision, resolve
from sde import build
from sde.config.run import SDEConfig
from tests.helpers import oracles_networks

CONFIGS = Path(__file__).resolve().parents[1] / "configs" / "sde" / "images"
TINY = dict(channels=16, multipliers=[1, 2], blocks=1, attention=[8], dropout=0.1)
SMALL = dict(channels=32, multipliers=[1, 2, 2], blocks=1, attention=[7, 8])
NCSNPP = dict(embedding="fourier", fir=True, progressive_input="residual", scale_by_sigma=True)
VE, VP = (
    dict(prediction="score", conditioning="std"),
    dict(prediction="noise", conditioning="time_999"),
)


@dataclass(frozen=True)
class Case:
    """A network as a model section or a file of configs/sde, its events, and its batch."""

    model: dict | str
    shape: tuple[int, int, int]
    batch: int

    def network(self, device: torch.device) -> nn.Module:
        if isinstance(self.model, str):
            config = configuration.load(CONFIGS / self.model, SDEConfig)
        else:
            values = {"data": {"name": "cifar10"}, "model": self.model}
            config = configuration.validate(values, SDEConfig, "benchmark")
        return build.network(config, self.shape, device)


def family(unet: dict, shape: tuple, batch: int) -> dict[str, Case]:
    """NCSN++, DDPM++ and DDPM of one size; DDPM has twice 16 channels, for its 32 groups."""
    wide = {**unet, "channels": max(32, unet["channels"])}
    return {
        "NCSN++": Case({"network": "ncsnpp", **VE, "unet": {**unet, **NCSNPP}}, shape, batch),
        "DDPM++": Case({"network": "ncsnpp", **VP, "unet": unet}, shape, batch),
        "DDPM": Case({"network": "ddpm", **VP, "unet": wide}, shape, batch),
    }


SIZES = {
    "tiny": family(TINY, (3, 16, 16), 8),
    "small": family(SMALL, (3, 32, 32), 32),
    "published": {
        "NCSN++": Case("cifar10_ncsnpp_ve.yaml", (3, 32, 32), 128),
        "NCSN++ deep": Case("cifar10_ncsnpp_ve_deep.yaml", (3, 32, 32), 128),
        "DDPM++": Case("cifar10_ddpmpp_vp.yaml", (3, 32, 32), 128),
        "DDPM": Case("cifar10_ddpm_vp.yaml", (3, 32, 32), 128),
    },
}


class Passes:
    """The passes of one network that are timed."""

    def __init__(self, network: nn.Module, x: Tensor, condition: Tensor, compile_: bool):
        self.network, self.x, self.condition = network, x, condition
        self.run = torch.compile(network) if compile_ else network
        self.parameters = list(network.parameters())
        self.optimiser = torch.optim.Adam(self.parameters, lr=1e-4, fused=True)
        self.average = [parameter.detach().clone() for parameter in self.parameters]

    def forward(self) -> None:
        self.network.eval()
        with torch.no_grad():
            self.run(self.x, self.condition)

    def loss(self) -> Tensor:
        return self.run(self.x, self.condition).float().square().mean()

    def step(self) -> None:
        self.network.train()
        self.optimiser.zero_grad()
        loss = self.loss()
        with torch.autocast(loss.device.type, enabled=False):
            loss.backward()
        nn.utils.clip_grad_norm_(self.parameters, 1.0)
        self.optimiser.step()
        with torch.no_grad():
            torch._foreach_lerp_(self.average, self.parameters, 1e-3)


def times(functions: list, options, device: torch.device) -> list[list[float]]:
    """Milliseconds of each function, called in turn, after two calls that are not counted."""
    clock = time.process_time if options.cpu_time else time.perf_counter
    found = [[] for _ in functions]
    for round_ in range(options.repeat + 2):
        for function, milliseconds in zip(functions, found, strict=True):
            synchronise(device)
            start = clock()
            function()
            synchronise(device)
            if round_ >= 2:
                milliseconds.append(1e3 * (clock() - start))
    return found


def synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def matrix_rate(options, device: torch.device) -> float:
    """Floating-point operations a millisecond in one large matrix product, at its best."""
    n = 8192 if device.type == "cuda" else 1024
    a, b = torch.randn(2, n, n, device=device).unbind()
    (found,) = times([lambda: a @ b], options, device)
    return 2 * n**3 / min(found)


def operations(function) -> int:
    with FlopCounterMode(display=False) as counter:
        function()
    return counter.get_total_flops()


def kept_bytes(passes: Passes) -> int:
    """What forward keeps for backward, the parameters left out."""
    storages = {p.untyped_storage().data_ptr() for p in passes.parameters}
    sizes = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in storages:
            sizes[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        kept = passes.loss()
    del kept
    return sum(sizes.values())


def measure(name: str, case: Case, options, device: torch.device, rate: float) -> None:
    layout = torch.channels_last if options.channels_last else torch.contiguous_format
    network = case.network(device).to(memory_format=layout)
    batch = options.batch or case.batch
    x = torch.randn(batch, *case.shape, device=device).contiguous(memory_format=layout)
    condition = torch.linspace(0.1, 40, batch, device=device)
    plain = Passes(copy.deepcopy(network), x, condition, compile_=False)
    counted = {"forward": operations(plain.forward), "step": operations(plain.step)}
    kept = kept_bytes(plain)
    slow = Passes(oracles_networks.slow(copy.deepcopy(network)), x, condition, compile_=False)
    ours = Passes(network, x, condition, options.compile)
    for pass_ in ("forward", "step"):
        functions = [getattr(ours, pass_)] + [getattr(slow, pass_)] * (not options.alone)
        found = times(functions, options, device)
        middle = [statistics.median(milliseconds) for milliseconds in found]
        cells = [f"{m:8.1f} [{min(f):7.1f}]" for m, f in zip(middle, found, strict=True)]
        ratio = f"{middle[-1] / middle[0]:6.2f}" if not options.alone else ""
        share = counted[pass_] / min(found[0]) / rate
        memory = f"{kept / 2**20:8.1f}" if pass_ == "step" else ""
        print(
            f"{name:12s} {batch:5d} {pass_:8s} {cells[0]} {cells[-1] if ratio else '':18s} "
            f"{ratio:>6s} {counted[pass_] / 1e9:9.2f} {share:7.0%} {memory:>8s}",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", nargs="+", choices=list(SIZES), default=["tiny", "small"])
    parser.add_argument("--device")
    parser.add_argument("--precision", choices=["float32", "tf32", "bf16"], default="float32")
    parser.add_argument("--compile", action="store_true", help="torch.compile ours")
    parser.add_argument("--channels-last", action="store_true")
    parser.add_argument("--threads", type=int, default=1, help="of the CPU")
    parser.add_argument(
        "--cpu-time", action="store_true", help="of the processor, where others use it too"
    )
    parser.add_argument("--repeat", type=int, default=15)
    parser.add_argument("--batch", type=int, help="in place of each size's own")
    parser.add_argument("--alone", action="store_true", help="leave out the straightforward form")
    options = parser.parse_args()
    device = resolve(options.device)
    torch.set_num_threads(options.threads)
    with precision(options.precision, device):
        rate = matrix_rate(options, device)
        print(
            f"torch {torch.__version__}, {device}, {options.precision}, {options.threads} threads: "
            f"matrix product {rate / 1e6:.0f} GFLOP/s"
        )
        for size in options.size:
            print(
                f"\n{size:12s} batch pass     {'ours, ms':>18s} {'straightforward':>18s} "
                f" ratio     GFLOP   share  MB kept"
            )
            for name, case in SIZES[size].items():
                measure(name, case, options, device, rate)


if __name__ == "__main__":
    main()
