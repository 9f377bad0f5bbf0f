"""Divergences against recorded values, definitions, limits and closed forms."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cizsl import divergences
from cizsl.creativity import PUBLISHED
from repro.errors import InputError

NAMES = {1: "kl", 2: "sharma_mittal", 3: "bhattacharyya", 4: "tsallis", 5: "renyi", 6: "new_class"}


def posterior(seed, classes=7, rows=5, spread=1.0):
    random = torch.Generator().manual_seed(seed)
    logits = spread * torch.randn(rows, classes, generator=random, dtype=torch.float64)
    return logits.softmax(-1)


def definition(p, q, alpha, beta):
    """Sharma-Mittal as written in the paper, away from its limits."""
    power = (1 - beta) / (1 - alpha)
    return ((p**alpha * q ** (1 - alpha)).sum(-1) ** power - 1) / (beta - 1)


@given(
    seed=st.integers(0, 10**6),
    alpha=st.floats(0.05, 3).filter(lambda a: abs(a - 1) > 0.01),
    beta=st.floats(-1, 3).filter(lambda b: abs(b - 1) > 0.01),
)
@settings(max_examples=200, deadline=None)
def test_sharma_mittal_is_its_definition(seed, alpha, beta):
    p, q = posterior(seed), posterior(seed + 1)
    ours = divergences.sharma_mittal(p, alpha, beta, q)
    torch.testing.assert_close(ours, definition(p, q, alpha, beta), rtol=1e-9, atol=1e-12)


@given(seed=st.integers(0, 10**6), alpha=st.floats(0.05, 5), beta=st.floats(-1, 3))
@settings(max_examples=200, deadline=None)
def test_never_negative_and_zero_only_at_uniform(seed, alpha, beta):
    p = posterior(seed)
    uniform = torch.full_like(p, 1 / p.shape[-1])
    assert (divergences.sharma_mittal(p, alpha, beta) > 0).all()
    at_uniform = divergences.sharma_mittal(uniform, alpha, beta)
    torch.testing.assert_close(at_uniform, torch.zeros_like(at_uniform), rtol=0, atol=1e-15)


@given(seed=st.integers(0, 10**6), low=st.floats(0.05, 3), step=st.floats(0.01, 2))
@settings(max_examples=100, deadline=None)
def test_renyi_rises_with_its_order(seed, low, step):
    """R_alpha is non-decreasing in alpha (van Erven and Harremoes, 2014, theorem 3)."""
    p = posterior(seed)
    assert (divergences.renyi(p, low + step) >= divergences.renyi(p, low)).all()


@given(seed=st.integers(0, 10**6), alpha=st.floats(0.05, 3), low=st.floats(-1, 2))
@settings(max_examples=100, deadline=None)
def test_sharma_mittal_rises_with_beta(seed, alpha, low):
    p = posterior(seed)
    above = divergences.sharma_mittal(p, alpha, low + 0.1)
    assert (above >= divergences.sharma_mittal(p, alpha, low)).all()


@pytest.mark.parametrize("gap", [0.0, 1e-12, -1e-9, 1e-6, -1e-5, 1e-4])
def test_limits(gap):
    """b -> 1 gives Renyi, b -> a Tsallis, both -> 1 Kullback-Leibler, a = 1/2 Bhattacharyya;
    the error is of the order of the gap, so nothing blows up on the way."""
    p, q = posterior(3), posterior(4)
    kl = (p * (p / q).log()).sum(-1)
    tolerance = {"rtol": 20 * abs(gap) + 1e-12, "atol": 1e-14}
    for beta, limit in [
        (1 + gap, divergences.renyi(p, 0.3, q)),
        (0.3 + gap, divergences.tsallis(p, 0.3, q)),
    ]:
        torch.testing.assert_close(divergences.sharma_mittal(p, 0.3, beta, q), limit, **tolerance)
    for value in (
        divergences.renyi(p, 1 + gap, q),
        divergences.tsallis(p, 1 + gap, q),
        divergences.sharma_mittal(p, 1 + gap, 1 - gap, q),
    ):
        torch.testing.assert_close(value, kl, **tolerance)
    torch.testing.assert_close(divergences.kl(p, q), kl, rtol=1e-12, atol=0)
    overlap = (p * q).sqrt().sum(-1)
    torch.testing.assert_close(divergences.bhattacharyya(p, q), -overlap.log(), rtol=1e-12, atol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("classes", [2, 5, 323])
@pytest.mark.parametrize("alpha", [0.01, 0.2, 0.5, 1 - 1e-7, 1.0, 1 + 1e-6, 2.0, 5.0])
def test_values_and_gradients_are_finite_at_the_edges(dtype, classes, alpha):
    """One-hot, uniform, nearly uniform and identical rows; gradients to logits and parameters."""
    random = torch.Generator().manual_seed(0)
    noise = torch.randn(classes, generator=random)
    rows = [torch.zeros(classes), 1e-4 * noise, noise, 30 * noise, noise]
    rows.append(1e4 * torch.nn.functional.one_hot(torch.tensor(1), classes).float())
    logits = torch.stack(rows).to(dtype).requires_grad_()
    for beta in (0.2, 0.5, 1 - 1e-7, 1.0, alpha, 2.0):
        a, b = (torch.tensor(value, dtype=dtype, requires_grad=True) for value in (alpha, beta))
        value = divergences.sharma_mittal(logits.softmax(-1), a, b)
        assert value.isfinite().all()
        for gradient in torch.autograd.grad(value.sum(), [logits, a, b]):
            assert gradient.isfinite().all()


def test_one_hot_closed_forms():
    """From uniform over C classes: R = ln C at every order, T_a = (C^(a-1) - 1) / (a - 1)."""
    p = torch.eye(6, dtype=torch.float64)
    for alpha in (0.3, 1.0, 2.5):
        expected = torch.full((6,), np.log(6), dtype=torch.float64)
        torch.testing.assert_close(divergences.renyi(p, alpha), expected)
    expected = torch.full((6,), (6**1.5 - 1) / 1.5, dtype=torch.float64)
    torch.testing.assert_close(divergences.tsallis(p, 2.5), expected)


@given(seed=st.integers(0, 10**6))
@settings(max_examples=50, deadline=None)
def test_autograd_is_the_closed_form_gradient(seed):
    """dT_a/dp_c + const = a (p/q)^(a-1) / (a-1); only differences along the simplex count."""
    p, alpha = posterior(seed).requires_grad_(), 0.37
    gradient = torch.autograd.grad(divergences.tsallis(p, alpha).sum(), p)[0]
    closed = alpha / (alpha - 1) * (p.detach() * p.shape[-1]) ** (alpha - 1)
    difference = gradient - closed
    spread = difference - difference.mean(-1, keepdim=True)
    torch.testing.assert_close(spread, torch.zeros_like(spread), rtol=0, atol=1e-9)


def test_gradients_by_finite_differences():
    logits = torch.randn(4, 6, dtype=torch.float64, requires_grad=True)
    a, b = (torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in (0.4, 0.7))
    exact = lambda x, a, b: divergences.sharma_mittal(x.softmax(-1), a, b)  # noqa: E731
    assert torch.autograd.gradcheck(exact, (logits, a, b))


def test_learned_parameters_stay_in_their_range():
    parameters = divergences.DivergenceParameters("learned", 0.7)
    with torch.no_grad():
        for raw in (-50.0, 0.0, 50.0):
            parameters.raw.fill_(raw)
            alpha, beta = parameters()
            assert 0.2 - 1e-6 <= alpha.item() <= 0.8 + 1e-6 and beta == 0.7
    assert divergences.DivergenceParameters(0.5, 0.5).raw.numel() == 0


def test_bad_input_is_named():
    with pytest.raises(InputError, match="alpha = 0"):
        divergences.renyi(posterior(0), 0.0)
    with pytest.raises(InputError, match=r"'cosine'.*sharma_mittal"):
        divergences.published(torch.zeros(2, 3), "cosine", 0.5, 0.5)


def test_published_renyi_saturates():
    """Its exponent is near 5000: confident rows are all -1e4, and their rescaling is 0/0."""
    logits = 20 * torch.eye(7, dtype=torch.float64)
    values = divergences.published(logits, "renyi", 0.5, 0.9999)
    torch.testing.assert_close(values, torch.full_like(values, -1e4))
    assert PUBLISHED["renyi"](logits, 0.5, 0.9999).isnan()


@pytest.fixture
def recorded(golden):
    """The arrays of the published creative losses, and the list of cases."""
    arrays = dict(np.load(golden("cizsl/creative_losses.npz")))
    return arrays, json.loads(golden("cizsl/creative_losses.json").read_text())["cases"]


def test_published_forms_meet_the_published_code(recorded):
    """Raw divergences, the loss after rescaling, and its gradient to logits and parameters."""
    arrays, cases = recorded
    compared = 0
    for case in cases:
        if case["loss_creative"] is None:  # Renyi saturates to NaN, there and here
            continue
        logits = torch.from_numpy(arrays[case["logits"]])[:, : case["n_cols"]].requires_grad_()
        name = NAMES[case["model_number"]]
        raw = None
        if case["sm_logits"] is not None:
            raw = torch.tensor(np.ravel(case["sm_logits"]), requires_grad=True)
        alpha, beta = case.get("SM_a") or 0.5, case.get("SM_b") or 0.5
        if raw is not None:
            values = 0.2 + raw.sigmoid() / (5 / 3)
            alpha = values[0]
            beta = {2: values[-1], 5: case["opt_SM_Beta"]}.get(case["model_number"], alpha)
        loss = PUBLISHED[name](logits, alpha, beta)
        loss = case["weight"] * loss if PUBLISHED[name].weighted else loss
        # rows of nearly equal divergence: the rescaling divides by their tiny spread
        tolerance = 1e-6 if "nearuniform" in case["id"] else 1e-10
        assert loss.item() == pytest.approx(case["loss_creative"], rel=tolerance), case["id"]
        if f"{case['id']}/raw_vec" in arrays:
            vector = divergences.published(logits, name, alpha, beta).detach().numpy()
            recorded = arrays[f"{case['id']}/raw_vec"]
            np.testing.assert_allclose(vector, recorded, rtol=0, atol=1e-10 * abs(recorded).max())
        recorded = arrays[f"{case['id']}/grad_logits"]
        gradient = torch.autograd.grad(loss, logits, retain_graph=True)[0].numpy()
        np.testing.assert_allclose(gradient, recorded, rtol=0, atol=tolerance * abs(recorded).max())
        if raw is not None:
            recorded = arrays[f"{case['id']}/grad_sm_logits"].ravel()
            gradient = torch.autograd.grad(loss, raw)[0].numpy()
            np.testing.assert_allclose(
                gradient, recorded, rtol=0, atol=tolerance * abs(recorded).max()
            )
        compared += 1
    assert compared > 50


def test_exact_forms_meet_the_textbook_values(recorded):
    arrays, _ = recorded
    forms = {
        "KL_u_p": lambda p, u, a, b: divergences.kl(u, p),
        "KL_p_u": lambda p, u, a, b: divergences.kl(p),
        "bhattacharyya": lambda p, u, a, b: divergences.bhattacharyya(p),
        "tsallis_a": lambda p, u, a, b: divergences.tsallis(p, a),
        "renyi_a": lambda p, u, a, b: divergences.renyi(p, a),
        "sharma_mittal_ab": lambda p, u, a, b: divergences.sharma_mittal(p, a, b),
    }
    names = [name for name in arrays if "/math_a" in name]
    assert names
    for name in names:
        base, tail = name.split("/math_a")
        parameters, form = tail.split("/ref_")
        alpha, beta = (float(value) for value in parameters.split("_b"))
        classes = int(base.split("/")[0].removeprefix("K"))
        p = torch.from_numpy(arrays[f"{base}/logits_Kplus1"])[:, :classes].softmax(-1)
        value = forms[form](p, torch.full_like(p, 1 / classes), alpha, beta).numpy()
        # the recorded values cancel near uniform, and near b = 1; ours do not
        tolerance = 5e-8 if "nearuniform" in name else 1e-11
        recorded = arrays[name]
        np.testing.assert_allclose(value, recorded, rtol=0, atol=tolerance * abs(recorded).max())
