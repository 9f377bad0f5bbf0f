"""The pretended GPU keeps CUDA's rules: a test on it would fail where a GPU would."""

import numpy as np
import pytest
import torch

from tests.helpers.fake_cuda import FakeCuda, FakeTensor, without_a_gpu

pytestmark = without_a_gpu
CUDA = torch.device("cuda")


@pytest.fixture
def gpu():
    with FakeCuda() as gpu:
        yield gpu


MIXED = {
    "sum": lambda x: x + torch.ones(3),
    "product": lambda x: torch.ones(2, 3) @ x,
    "assignment": lambda x: x.add_(torch.ones(3)),
    "choice": lambda x: torch.where(torch.ones(3) > 0, x, 0),
    "cpu indexed": lambda x: torch.ones(3)[x.long()],
    "array": lambda x: x.numpy(),
    "numpy": lambda x: np.asarray(x),
    "sum of arrays": lambda x: np.ones(3) + np.asarray(x),
    "cpu generator": lambda x: torch.randn(3, generator=torch.Generator(), device=CUDA),
    "cuda generator": lambda x: torch.randn(3, generator=torch.Generator(CUDA)),
    "network": lambda x: torch.nn.Linear(3, 2)(x),
    "numbers joined": lambda x: torch.stack([x.sum(), torch.tensor(1.0)]),
    "a number added to": lambda x: torch.zeros(()).add_(x.sum()),
}


@pytest.mark.parametrize("case", MIXED)
def test_refused(gpu, case):
    with pytest.raises((RuntimeError, TypeError)):
        MIXED[case](torch.ones(3, device=CUDA))


ALLOWED = {
    "scalars": lambda x: x * torch.tensor(2.0),
    "indexed by the cpu": lambda x: x[torch.tensor([0, 2, 1])],
    "made like it": lambda x: torch.zeros_like(x) + x.new_ones(3) + x.new_tensor([1, 2, 3]),
    "own generator": lambda x: torch.randn(3, generator=torch.Generator(CUDA), device=CUDA),
    "there and back": lambda x: x.cpu().to(x),
    "network": lambda x: torch.nn.Linear(3, 2).to(CUDA)(x),
}


@pytest.mark.parametrize("case", ALLOWED)
def test_allowed(gpu, case):
    result = ALLOWED[case](torch.ones(3, device=CUDA))
    assert isinstance(result, FakeTensor) and result.is_cuda and result.device.type == "cuda"


def test_gradients_and_optimisers_stay_there(gpu):
    network = torch.nn.Linear(3, 2).to(CUDA)
    optimiser = torch.optim.Adam(network.parameters(), fused=True)
    with torch.autocast("cuda", torch.bfloat16):
        loss = network(torch.ones(4, 3, device=CUDA))
    assert loss.dtype == torch.bfloat16
    loss.float().square().sum().backward()
    before = network.weight.cpu()
    optimiser.step()
    assert isinstance(network.weight.grad, FakeTensor) and isinstance(network.weight, FakeTensor)
    assert not torch.equal(before, network.weight.cpu())


def test_waits_are_counted(gpu):
    x = torch.arange(3.0, device=CUDA)
    y = (x * 2).relu().sum()
    assert gpu.waits == 0 and gpu.operations > 0
    waits = (y.item, y.cpu, x.tolist, lambda: bool(y > 1), lambda: x[x > 1], lambda: float(y))
    waits += (
        lambda: x[torch.tensor([1])],
        lambda: torch.ones(2).to(CUDA),
        lambda: torch.tensor([1, 2], device=CUDA),
    )
    for number, wait in enumerate(waits, 1):
        wait()
        assert gpu.waits == number, number
    torch.ones(2).to(CUDA, non_blocking=True)
    assert gpu.waits == len(waits)


def test_saved_and_loaded(gpu, tmp_path):
    x = torch.arange(3.0, device=CUDA)
    torch.save({"x": x}, tmp_path / "x.pt")
    there = torch.load(tmp_path / "x.pt", map_location=CUDA, weights_only=True)["x"]
    here = torch.load(tmp_path / "x.pt", map_location="cpu", weights_only=True)["x"]
    assert isinstance(there, FakeTensor) and type(here) is torch.Tensor
    assert torch.equal(there.cpu(), here)


def test_it_leaves_nothing_behind():
    real = torch.Generator, torch.load, torch.Tensor.to, torch.autocast
    with FakeCuda():
        assert torch.cuda.is_available()
    assert not torch.cuda.is_available()
    assert real == (torch.Generator, torch.load, torch.Tensor.to, torch.autocast)
