"""The commands that make a data set from articles, images and families."""

from cizsl.cli.parser import main

NAMES = [f"{own}_{family}" for family in ("Gull", "Tern", "Wren") for own in ("Big", "Red", "Old")]


TEXT = "data text articles --out data/coast"
IMAGES = "data images images --out data/coast --backbone network:network --resize 9 --crop 8 "
IMAGES += "--batch 5 --device cpu"
SPLITS = "data splits data/coast --families families.csv --unseen 0.4"


def call(capsys, command, *more):
    """Exit code and what was said, without the progress bar."""
    try:
        code = main([*command.split(), *more])
    except SystemExit as stop:  # argparse
        code = stop.code
    said = capsys.readouterr()
    error = [line for line in said.err.splitlines() if line.startswith("cizsl")]
    return code, "\n".join([*said.out.splitlines(), *error])


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}
