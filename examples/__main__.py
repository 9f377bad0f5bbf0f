"""Answer all questions, or some: python -m examples [1 4 ...] [--out docs/figures]."""

import argparse
import importlib
import time
from pathlib import Path

QUESTIONS = {
    1: "q1_forward_backward",
    2: "q2_energy_or_score",
    3: "q3_samplers",
    4: "q4_processes",
    5: "q5_discretisations",
    6: "q6_likelihood",
    7: "q7_noise_levels",
    8: "q8_creativity",
    9: "q9_entropy",
    10: "q10_interpolation",
}


def main(arguments: list[str] | None = None) -> None:
    """Draw a figure for each question and print the numbers that docs/questions.md quotes."""
    parser = argparse.ArgumentParser(prog="python -m examples", description=main.__doc__)
    parser.add_argument(
        "numbers", nargs="*", type=int, metavar="N", help="questions to answer (default: all)"
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("docs/figures"),
        help="folder of the figures (default: docs/figures)",
    )
    chosen = parser.parse_args(arguments)
    if unknown := [n for n in chosen.numbers if n not in QUESTIONS]:
        parser.error(f"there is no question {unknown[0]}: choose from 1 to {len(QUESTIONS)}")
    for number in chosen.numbers or QUESTIONS:
        started = time.monotonic()
        module = importlib.import_module(f"examples.{QUESTIONS[number]}")
        print(f"\n== {number}. {module.__doc__.splitlines()[0]}", flush=True)
        module.main(chosen.out)
        print(f"   ({time.monotonic() - started:.0f} s; {chosen.out / module.NAME}.png)")


if __name__ == "__main__":
    main()
