"""The recipes of CONTRIBUTING.md, written into an empty folder and put to use."""

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.helpers.waiting import ENOUGH

ROOT = Path(__file__).resolve().parents[2]
RECIPE = re.compile(r"^\*\*(An? \w+)\.\*\* (.*?)\n\n```python\n(.*?)```$", re.M | re.S)
WRITE = re.compile(r"Write `([\w/.]+)` in the working folder")

USES = {
    "A divergence": """
        import torch
        from tests.helpers.rounding import assert_same_up_to_rounding
        from cizsl.config import CIZSLConfig
        from cizsl.creativity import resolve
        from repro.config import load
        config = load("a.yaml", CIZSLConfig, ["creativity.divergence=pearson:divergence"])
        logits = torch.tensor([[0.7, 0.3], [0.5, 0.5]]).log()
        mean = resolve(config.creativity.divergence, "exact")(logits, 0.5, 0.5)
        # two samples of two classes, whose ratios p / q are at most 1.4: bound 1.3e-6 of 0.08
        assert_same_up_to_rounding(mean, torch.tensor((0.16 + 0) / 2), 2 * 2, magnitude=1.4)
    """,
    "An SDE": """
        import torch
        from sde.analytic import gaussian
        from sde.build import process
        from sde.config.run import SDEConfig
        from sde.samplers import solve
        from repro.config import load
        sde = process(load("a.yaml", SDEConfig, ["process.name=linear:LinearVESDE"]))
        t = torch.tensor([0.3], dtype=torch.float64, requires_grad=True)
        growth = torch.autograd.grad(sde.std(t) ** 2, t)[0]
        torch.testing.assert_close(growth, (sde.diffusion(t) ** 2).detach())
        scale, std = sde.transition(t / 2, t)
        torch.testing.assert_close(std**2 + scale**2 * sde.std(t / 2) ** 2, sde.std(t) ** 2)
        data = gaussian(torch.tensor([3.0]), torch.tensor(0.25))
        how = dict(steps=30, generator=torch.Generator().manual_seed(0))
        x = solve(sde, data.score_fn(sde), (4000, 1), **how).x
        # 4000 samples: standard errors 0.5 / sqrt(4000) = 0.008 and 0.5 / sqrt(8000) = 0.006
        assert abs(x.mean() - 3) < 0.03 and abs(x.std() - 0.5) < 0.03, (x.mean(), x.std())
    """,
    "A sampler": """
        import torch
        from sde.analytic import gaussian, gaussian_flow
        from sde.processes import VPSDE
        from sde.samplers import solve
        sde, data = VPSDE(), gaussian(torch.tensor([3.0]).double(), torch.tensor(0.25).double())
        start = sde.prior_sample((5, 1), torch.Generator().manual_seed(0), dtype=torch.float64)
        ends = torch.tensor([1.0]).double(), torch.tensor([1e-3]).double()
        exact = gaussian_flow(data, sde, start, *ends)
        def error(steps):
            how = dict(steps=steps, generator=None, init=start, denoise=False)
            how["solver"] = "midpoint:Midpoint"
            found = solve(sde, data.score_fn(sde), start.shape, **how)
            assert found.nfe == 2 * steps
            return (found.x - exact).abs().max()
        ratio = error(40) / error(80)
        assert 3.5 < ratio < 4.7, ratio  # second order: 4, up to O(1/steps)
    """,
    "A dataset": """
        import torch
        from sde.cli.parser import main
        from sde.data.registry import load
        x = load("spiral:spiral", train=4000, heldout=100).train.values
        radius, angle = x.norm(dim=1), torch.atan2(x[:, 1], x[:, 0])
        turns = (10 * radius - angle) / (2 * torch.pi)
        # the recipe's noise moves 95 % of the points by less than 0.2 turns
        assert (turns - turns.round()).abs().quantile(0.95) < 0.2
        short = ["optimiser.iterations=3", "data.train=100", "data.heldout=50"]
        assert main(["train", "a.yaml", "data.name=spiral:spiral", *short, "--out", "run"]) == 0
    """,
}


def test_there_is_a_use_of_each():
    assert [name for name, *_ in RECIPE.findall((ROOT / "CONTRIBUTING.md").read_text())] == list(
        USES
    )


def test_what_a_recipe_adds_works(tmp_path):
    folder = tmp_path
    (folder / "a.yaml").write_text("{}\n")
    for _, steps, code in RECIPE.findall((ROOT / "CONTRIBUTING.md").read_text()):
        assert len([line for line in code.splitlines() if line.strip()]) <= 20
        (folder / WRITE.search(steps)[1]).write_text(code)
    uses = "\n".join(f"if True:  # {name}{code}" for name, code in USES.items())
    done = subprocess.run(
        [sys.executable, "-c", uses],
        cwd=folder,
        capture_output=True,
        text=True,
        env=dict(os.environ, PYTHONPATH=str(ROOT), OMP_NUM_THREADS="1"),
        timeout=ENOUGH,
    )
    assert done.returncode == 0, done.stdout + done.stderr
