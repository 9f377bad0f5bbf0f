"""The sizes at which cizsl is timed, the floating-point operations of its matrix products, and the
bytes that it moves.

The floor of an iteration at B rows, D features, H hidden units, in products of B D H
multiply-adds (29.4 GFLOP at the published sizes): critic step 7 (generate 1, real and generated
forward 2, their weight gradients 2, penalty gradient 1 and its weight gradient 1), generator step
10 with hallucinated samples (generate 2, critic 2, back through the critic 2, generator weight and
input gradients 4), 5 without. Five critic steps and one generator step: 45, or 40. The semantic
classifier adds 1, the real images' way to it in the generator step. Walks add n C / B times the
products of a batch for each set of samples, in every step.
"""

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Size:
    """B rows, D features, H hidden, R reduced text, Z noise, V terms; images and classes."""

    B: int
    D: int
    H: int
    R: int
    V: int
    Z: int = 100
    train: int = 8855
    test: int = 2933
    seen: int = 150
    unseen: int = 50
    samples: int = 60


SIZES = {
    "published": Size(B=1000, D=3584, H=4086, R=1000, V=7551),
    "nab": Size(
        B=1000, D=3584, H=4086, R=1000, V=13217, train=39699, test=8863, seen=323, unseen=81
    ),
    "small": Size(B=256, D=512, H=256, R=128, V=1272),
}
ITERATIONS, EVALUATIONS = 3001, 298  # of a published run


def iteration_products(s: Size) -> list[tuple[str, int, int, int, int]]:
    """(name, count, m, k, n) of every matrix product of an iteration: m k n multiply-adds each."""
    heads = s.seen + 1
    return [
        ("project texts, forward", 1, s.seen, s.V, s.R),
        ("project texts, backward", 1, s.R, s.seen, s.V),
        ("text to hidden, both ways", 3, s.seen, s.R, s.H),
        ("noise to hidden", 5, s.B, s.Z, s.H),
        ("noise to hidden, both ways", 2, 2 * s.B, s.Z, s.H),
        ("critic: generate", 5, s.B, s.H, s.D),
        ("critic: real and generated", 5, 2 * s.B, s.D, s.H),
        ("critic: heads, both ways", 15, 2 * s.B, s.H, heads),
        ("critic: penalty gradient", 5, s.B, s.H, s.D),
        ("critic: penalty weights", 5, s.H, s.B, s.D),
        ("critic: weights", 5, s.H, 2 * s.B, s.D),
        ("generator: generate", 1, 2 * s.B, s.H, s.D),
        ("generator: critic", 1, 2 * s.B, s.D, s.H),
        ("generator: heads, both ways", 2, 2 * s.B, s.H, heads),
        ("generator: back to features", 1, 2 * s.B, s.H, s.D),
        ("generator: back to hidden", 1, 2 * s.B, s.D, s.H),
        ("generator: weights", 1, s.D, 2 * s.B, s.H),
    ]


def iteration_flop(s: Size) -> float:
    """Two for each multiply-add of the products."""
    return sum(2.0 * count * m * k * n for _, count, m, k, n in iteration_products(s))


def iteration_bytes(s: Size) -> float:
    """The least that an iteration moves in float32: every product reads its factors and writes its
    result once; Adam reads weight, gradient and two moments and writes all but the gradient; L2 and
    L21 read the generator's weights for their squares, then weights and gradients to add to these.
    """
    products = sum(count * (m * k + k * n + m * n) for _, count, m, k, n in iteration_products(s))
    critic = s.H * (s.D + s.seen + 1)
    generator = s.R * s.V + s.H * (s.Z + s.R) + s.D * s.H
    return 4.0 * (products + 7 * (5 * critic + generator) + 4 * generator + 3 * s.R * s.V)


def aligned(s: Size, multiple: int) -> Size:
    """The widths that ``compute.align`` makes of these."""
    return replace(s, **{name: -(-getattr(s, name) // multiple) * multiple for name in "HVZ"})


def evaluation_flop(s: Size) -> float:
    classes = s.seen + s.unseen
    generate = classes * s.samples * s.H * (s.D + s.Z) + classes * s.R * (s.V + s.H)
    neighbours = s.test * s.unseen * s.samples * s.D
    return 2.0 * (generate + neighbours + (s.train + s.test) * classes * s.D)
