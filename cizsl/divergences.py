r"""Divergences of a class posterior p from a reference q, uniform unless given.

Everything follows from one f-divergence. With x = p/q and r = ln x,

    Tsallis        T_a(p, q) = (sum p^a q^(1-a) - 1) / (a - 1) = sum q h_a(x),
                   h_a(x)    = x (x^(a-1) - 1) / (a - 1) - (x - 1)  >= 0
    Renyi          R_a       = ln(1 + (a-1) T_a) / (a-1)            = ln sum p^a q^(1-a) / (a-1)
    Sharma-Mittal  S_ab      = (exp((b-1) R_a) - 1) / (b-1)
    Kullback-Leibler         = T_1 = R_1 = S_11 = sum p ln(p/q)
    Bhattacharyya            = R_(1/2) / 2      = -ln sum sqrt(p q)

so S_ab tends to R_a as b -> 1, to T_a as b -> a, and to KL as both -> 1. The sum of h_a(x) uses
that p and q both sum to one; its terms have one sign, so nothing cancels near p = q, and near
their limits h and the quotients are series. Gradients are finite everywhere: a posterior entry of
exactly zero counts as the smallest normal number and gets no gradient.

The published code computes something else; :func:`published` has it, as the experiments did.

Source: Sharma and Mittal (1975); Elhoseiny and Elfeki, ICCV 2019, section 3.2 (arXiv:1904.01109).
"""

from typing import Literal

import torch
from torch import Tensor, nn

from repro.errors import InputError

Parameter = float | Tensor  # of a divergence


def tsallis(p: Tensor, alpha: Parameter, q: Tensor | None = None) -> Tensor:
    """T_alpha(p, q) = (sum_c p_c^alpha q_c^(1-alpha) - 1) / (alpha - 1); KL at alpha = 1.

    Args: p (B, C) rows on the simplex; alpha > 0, a float or a scalar tensor; q (C,) or (B, C),
    uniform by default. Returns (B,), >= 0. Raises :class:`InputError` for alpha <= 0.
    Source: Tsallis (1998), Phys. Rev. E 58, 1442.
    """
    alpha = _order(alpha, p)
    tiny = torch.finfo(p.dtype).tiny
    q = torch.full_like(p[..., :1], 1 / p.shape[-1]) if q is None else q.clamp_min(tiny)
    return (q * _h(alpha, (p / q).clamp_min(tiny))).sum(-1)


def renyi(p: Tensor, alpha: Parameter, q: Tensor | None = None) -> Tensor:
    """R_alpha(p, q) = ln(sum_c p_c^alpha q_c^(1-alpha)) / (alpha - 1); KL at alpha = 1.

    Shapes and errors as in :func:`tsallis`. Source: Renyi (1961), Fourth Berkeley Symposium.
    """
    return _log1p_over(_order(alpha, p) - 1, tsallis(p, alpha, q))


def sharma_mittal(
    p_BC: Tensor, alpha: Parameter, beta: Parameter, q_BC: Tensor | None = None
) -> Tensor:
    """S_ab(p, q) = ((sum_c p_c^a q_c^(1-a))^((1-b)/(1-a)) - 1) / (b - 1).

    Limits: b -> 1 Renyi, b -> a Tsallis, a = b = 1 Kullback-Leibler. Shapes as in
    :func:`tsallis`; beta is any real number. Source: CIZSL eq. 4 (arXiv:1904.01109).
    """
    return _expm1_over(_scalar(beta, p_BC) - 1, renyi(p_BC, alpha, q_BC))


def kl(p: Tensor, q: Tensor | None = None) -> Tensor:
    """KL(p || q) = sum_c p_c ln(p_c / q_c), in nats: (B, C) -> (B,), >= 0."""
    return tsallis(p, 1.0, q)


def bhattacharyya(p: Tensor, q: Tensor | None = None) -> Tensor:
    """-ln sum_c sqrt(p_c q_c): (B, C) -> (B,), >= 0. Source: Bhattacharyya (1943)."""
    return renyi(p, 0.5, q) / 2


EXACT = {
    "sharma_mittal": sharma_mittal,
    "renyi": lambda p, alpha, beta: renyi(p, alpha),
    "tsallis": lambda p, alpha, beta: tsallis(p, alpha),
    "bhattacharyya": lambda p, alpha, beta: bhattacharyya(p),
    "kl": lambda p, alpha, beta: kl(p),
}


def published(logits_BC: Tensor, name: str, alpha: Parameter, beta: Parameter) -> Tensor:
    """The divergences as the published CIZSL code computes them, before its min-max rescaling.

    With p = softmax(logits) and u = 1/C,

        sharma_mittal   s = ((sum (p + 1e-5)^a u^(1-a))^((1-a)/(1-b)) - 1) / (b - 1)
        tsallis         -s at b = a          bhattacharyya   -s at b = a, a fixed, 0.5 by default
        renyi           -s, b fixed, 0.9999 by default
        kl              -(1/C^2) sum ln p, for the batch mean

    The exponent (1-a)/(1-b) is upside down, 1e-5 is added without renormalising, and the minus
    signs turn three of them into rewards for a confident posterior (docs/deviations.md).

    Args: logits (B, C); name, a key of :data:`EXACT`. Returns (B,). Source: train_CIZSL.py,
    lines 307 to 358, at commit 3a32447 of github.com/mhelhoseiny/CIZSL.
    """
    if name not in EXACT:
        raise InputError(f"divergence '{name}': expected one of {', '.join(EXACT)}")
    num_classes = logits_BC.shape[-1]
    if name == "kl":
        return -(logits_BC.log_softmax(-1) / num_classes).mean(-1)
    alpha = _scalar(alpha, logits_BC)
    beta = alpha if name in ("tsallis", "bhattacharyya") else _scalar(beta, logits_BC)
    overlap = (logits_BC.softmax(-1) + 1e-5) ** alpha * num_classes ** (alpha - 1)
    s = (overlap.sum(-1) ** ((1 - alpha) / (1 - beta)) - 1) / (beta - 1)
    return s if name == "sharma_mittal" else -s


class DivergenceParameters(nn.Module):
    """alpha and beta of a divergence, each a fixed number or ``"learned"``.

    A learned one is 0.2 + 0.6 sigmoid(w) with w ~ U(-1, 1) at the start, so it stays in
    (0.2, 0.8). ``raw`` has one entry w for each that is learned, alpha first.

    Source: train_CIZSL.py, lines 317 to 321.
    """

    def __init__(self, alpha: float | Literal["learned"], beta: float | Literal["learned"]):
        super().__init__()
        self.given = (alpha, beta)
        learned = sum(value == "learned" for value in self.given)
        self.raw = nn.Parameter(torch.empty(learned).uniform_(-1, 1))

    def forward(self) -> tuple[Parameter, Parameter]:
        """The current (alpha, beta): floats where fixed, scalar tensors where learned."""
        learned = iter((0.2 + 0.6 * self.raw.sigmoid()).unbind())
        alpha, beta = (next(learned) if value == "learned" else value for value in self.given)
        return alpha, beta


def _scalar(value: Parameter, like: Tensor) -> Tensor:
    """A scalar like ``like``; made on its device, since copying it there would wait for it."""
    if isinstance(value, Tensor):
        return value.to(like)
    return torch.full((), value, dtype=like.dtype, device=like.device)


def _order(alpha: Parameter, p: Tensor) -> Tensor:
    if not isinstance(alpha, Tensor) and not alpha > 0:
        raise InputError(f"alpha = {alpha}: expected a number above 0")
    return _scalar(alpha, p)


def _h(a: Tensor, x: Tensor) -> Tensor:
    """x (x^(a-1) - 1) / (a-1) - (x - 1); near x = 1 its Taylor series, where the two cancel."""
    d = x - 1
    small = d.abs() < 1e-3
    near, far = torch.where(small, d, torch.zeros_like(d)), torch.where(small, 1.0, x)
    tail = 1 + (a - 3) / 4 * near * (1 + (a - 4) / 5 * near * (1 + (a - 5) / 6 * near))
    series = a / 2 * near**2 * (1 + (a - 2) / 3 * near * tail)
    return torch.where(small, series, far * _expm1_over(a - 1, far.log()) - (far - 1))


def _expm1_over(c: Tensor, x: Tensor) -> Tensor:
    """(exp(c x) - 1) / c, which tends to x as c -> 0; its gradients are finite there."""
    small, near, far, c = _split(c, x)
    series = x * (1 + near / 2 * (1 + near / 3 * (1 + near / 4 * (1 + near / 5))))
    return torch.where(small, series, far.expm1() / c)


def _log1p_over(c: Tensor, x: Tensor) -> Tensor:
    """ln(1 + c x) / c, which tends to x as c -> 0; its gradients are finite there.

    The floor on 1 + c x only acts on disjoint supports, where the value is infinite."""
    small, near, far, c = _split(c, x)
    series = x * (1 - near * (1 / 2 - near * (1 / 3 - near * (1 / 4 - near / 5))))
    return torch.where(small, series, far.clamp_min(torch.finfo(far.dtype).eps - 1).log1p() / c)


def _split(c: Tensor, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Where c x is small; c x there and c x elsewhere, zero in the other's place, so that the
    branch not taken cannot put a NaN into the gradient; c kept off zero."""
    y = c * x
    small = y.abs() < 1e-3
    zero = torch.zeros_like(y)
    near, far = torch.where(small, y, zero), torch.where(small, zero, y)
    return small, near, far, torch.where(c == 0, torch.ones_like(c), c)
