"""Both command lines: help, did-you-mean, and one line for each mistake."""

import errno
import sys

import pytest

from cizsl.cli.parser import main as cizsl
from cizsl.cli.parser import parser as cizsl_parser
from repro.cli import entry, parser
from repro.errors import InputError
from tests.helpers.waiting import ENOUGH


def commands(top):
    """Every command below ``top``, with its words."""
    groups = [action for action in top._actions if isinstance(action.choices, dict)]
    if not groups:
        return [top]
    return [
        command for group in groups for sub in group.choices.values() for command in commands(sub)
    ]


COMMANDS = {command.prog: command for command in commands(cizsl_parser())}


def said(main, arguments, capsys):
    """The exit code and what was printed."""
    try:
        code = main(arguments)
    except SystemExit as stop:
        code = stop.code
    captured = capsys.readouterr()
    return code, (captured.err + captured.out).strip()


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_is_whole(name):
    """A purpose, a help text for every argument, and an example that the parser accepts."""
    command = COMMANDS[name]
    assert command.description and command.description.endswith(".")
    for action in command._actions:
        assert action.help, f"{name} {action.dest}: no help"
    program, *words = command.example.partition(" > ")[0].split()
    options, rest = cizsl_parser().parse_known_args(words)
    assert program == "cizsl" and options.command_parser.prog == name
    assert all("=" in text for text in rest)
    assert command.format_help().endswith(f"example:\n  {command.example}\n")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("trian", "unknown command 'trian'; did you mean 'train'?"),
        ("data verfy", "unknown command 'verfy'; did you mean 'verify'?"),
        ("evaluate x --split tset", "--split: expected val or test, got 'tset'; did you mean 'tes"),
        (
            "train toy_cub_easy --seed 1",
            "unknown option '--seed'; settings have no dashes: write s",
        ),
        ("train toy_cub_easy --seed=1", "write seed=1 (see cizsl train --help)"),
        ("train --seed 1 toy_cub_easy", "write seed=1 (see cizsl train --help)"),
        ("train toy_cub_easy --batch-size 5", "write optimiser.batch_size=5 (see"),
        ("train toy_cub_easy --optimiser.batch_size 5", "write optimiser.batch_size=5 (see"),
        ("train toy_cub_easy --resum", "unknown option '--resum'; did you mean '--resume'?"),
        ("train toy_cub_easy --xyz", "unknown option '--xyz' (see"),
        ("sweep toy_cub_easy --seed 1", "unknown option '--seed'; did you mean '--seeds'?"),
        ("evaluate runs/mine stray", "unexpected argument 'stray'"),
        ("evaluate runs/mine seed=1", "unexpected argument 'seed=1'"),
        ("sweep toy_cub_easy --jobs 0", "expected a whole number from 1 to 10000, got '0'"),
        ("sweep toy_cub_easy --jobs " + 5000 * "9", "to 10000, got '9999"),
        ("train toy_cub_esy", "toy_cub_esy: neither a file nor the name of a configuration of ci"),
        ("train toy_cub_esy", "; did you mean 'toy_cub_easy'?"),
        ("train toy_cub_easy.yaml", "no such file; did you mean the configuration 'toy_cub_easy'?"),
        ("train digits", "digits: a configuration of sde, not of cizsl: use the commands of sde"),
        ("train configs/sde/images/digits.yaml", "digits.yaml: a configuration of sde, not of ciz"),
        ("config show sde/x.yaml", "sde/x.yaml: cannot be read: No such file"),
    ],
)
def test_each_mistake_is_one_line(arguments, expected, capsys):
    code, text = said(cizsl, arguments.split(), capsys)
    assert code == 2 and expected in text and len(text.splitlines()) == 1, text


def test_a_path_may_not_be_empty_nor_hold_a_nul_character(capsys):
    for place in ("", "a\0b"):
        code, text = said(cizsl, ["train", "toy_cub_easy", "--out", place], capsys)
        assert code == 2 and "--out: " in text and "expected " in text and len(text) < 200


def test_the_version_is_that_of_the_package_and_of_torch(capsys):
    code, text = said(cizsl, ["--version"], capsys)
    assert code == 0 and text.startswith("cizsl ") and ", torch " in text


def test_defaults_are_shown():
    shown = COMMANDS["cizsl sweep"].format_help()
    assert "seeds, as 0-4 or 0,1,7 (default: 0)" in shown
    assert shown.count("(default: ") == shown.count("(default: 0)") + 3  # out, jobs, device
    assert "seed of the invented numbers (default: 0)" in COMMANDS["cizsl data toy"].format_help()


def raising(error):
    """A command line whose one command raises ``error``."""

    def act(options):
        raise error

    top, group = parser.program("it", "Raise.", example="it go")
    parser.add_command(group, "go", "raise an error", example="it go", run=act)
    return lambda arguments: entry.run(top, arguments)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (InputError("a\nb"), "it: error: a b"),
        (OSError(errno.ENOSPC, "No space left on device", "x"), "x: No space left on device"),
        (OSError(errno.EMFILE, "Too many open files"), "it: error: Too many open files"),
        (MemoryError(), "it: error: not enough memory for these settings"),
        (RuntimeError("[enforce] DefaultCPUAllocator: can't allocate memory: you"), "not enough m"),
    ],
)
def test_what_the_machine_cannot_do_is_one_line(error, expected, capsys):
    code, text = said(raising(error), ["go"], capsys)
    assert code == 2 and expected in text and len(text.splitlines()) == 1


@pytest.mark.parametrize("error", [RuntimeError("shapes"), OSError(errno.EBADF, "Bad"), KeyError()])
def test_a_bug_is_a_traceback(error):
    with pytest.raises(type(error)):
        raising(error)(["go"])


def test_a_name_that_is_not_utf8_is_printed(tmp_path):
    import subprocess

    code = "from cizsl.cli.parser import main; raise SystemExit(main())"
    command = [sys.executable, "-c", code, "train", b"\xff.yaml"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=ENOUGH)
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1
    assert "cannot be read" in done.stderr
