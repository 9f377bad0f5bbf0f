"""Checkpoints, files that are written whole, random states and interruptions."""

import os
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from repro import seeding
from repro.environment import environment
from repro.errors import InputError
from repro.files import checkpoint
from repro.files.atomic import write_atomically
from repro.signals import StopRequest
from tests.helpers.waiting import ENOUGH


def test_keeps_the_newest_two_and_falls_back(tmp_path, capsys):
    for step in (1, 2, 3):
        checkpoint.save(tmp_path, step, {"step": step, "tensor": torch.arange(step)})
    assert [path.name for path in sorted(tmp_path.iterdir())] == [
        "step_00000002.pt",
        "step_00000003.pt",
    ]
    assert checkpoint.load_newest(tmp_path)["step"] == 3
    newest = tmp_path / "step_00000003.pt"
    whole = newest.read_bytes()
    for size in (0, 10, len(whole) // 2, len(whole) - 1):
        newest.write_bytes(whole[:size])
        assert checkpoint.load_newest(tmp_path)["step"] == 2
        assert "step_00000003.pt: not a whole checkpoint" in capsys.readouterr().err
    (tmp_path / "step_00000002.pt").write_bytes(b"")
    with pytest.raises(InputError, match="none of its 2 checkpoints is whole"):
        checkpoint.load_newest(tmp_path)
    assert checkpoint.load_newest(tmp_path / "none") is None


def test_a_flipped_bit_is_seen_and_the_one_before_is_taken(tmp_path, capsys):
    """Every part of the file: the numbers, their description, the archive's own tables."""
    for step in (1, 2):
        checkpoint.save(tmp_path, step, {"step": step, "weights": torch.arange(200.0)})
    newest = tmp_path / "step_00000002.pt"
    whole = newest.read_bytes()
    with zipfile.ZipFile(newest) as archive:  # what lies between the parts is padding
        starts = {part.filename: part.header_offset for part in archive.infolist()}
        places = [whole.index(archive.read(name)) + 5 for name in starts if "data" in name]
    assert len(places) >= 2
    for place in (*places, whole.rindex(b"PK\x01\x02") + 17):  # the last: a recorded checksum
        damaged = bytearray(whole)
        damaged[place] ^= 4
        newest.write_bytes(damaged)
        assert checkpoint.load_newest(tmp_path)["step"] == 1
        said = capsys.readouterr().err
        assert "step_00000002.pt: not a whole checkpoint" in said
        assert "trying the one before it" in said


def test_a_compressed_checkpoint_is_refused(tmp_path):
    """torch.save writes none, and a small one may hold any number of bytes."""
    torch.save({"x": torch.zeros(10)}, tmp_path / "plain.pt")
    with (
        zipfile.ZipFile(tmp_path / "plain.pt") as plain,
        zipfile.ZipFile(tmp_path / "small.pt", "w", zipfile.ZIP_DEFLATED) as small,
    ):
        for name in plain.namelist():
            small.writestr(name, plain.read(name))
    with pytest.raises(InputError, match=r"compressed, which torch\.save never does"):
        checkpoint.load(tmp_path / "small.pt")


def test_a_checkpoint_is_a_regular_file(tmp_path):
    (tmp_path / "step_00000001.pt").mkdir()
    for path in (tmp_path / "step_00000001.pt", Path("/dev/zero")):
        with pytest.raises(InputError, match="not a whole checkpoint"):
            checkpoint.load(path)


def test_a_checkpoint_never_runs_code(tmp_path):
    class Hostile:
        def __reduce__(self):
            return (os.mkdir, (str(tmp_path / "ran"),))

    torch.save({"x": Hostile()}, tmp_path / "step_00000001.pt")
    with pytest.raises(InputError, match="not a whole checkpoint"):
        checkpoint.load(tmp_path / "step_00000001.pt")
    assert not (tmp_path / "ran").exists()


def test_a_failed_write_leaves_what_was_there(tmp_path):
    path = tmp_path / "file"
    path.write_text("before")

    def fail(file):
        file.write("half")
        raise OSError(28, "disk full")

    with pytest.raises(InputError, match="file: cannot be written: disk full"):
        write_atomically(path, fail, mode="w")
    assert path.read_text() == "before" and list(tmp_path.iterdir()) == [path]


def test_text_that_is_no_utf8_leaves_what_was_there(tmp_path):
    path = tmp_path / "file"
    path.write_text("before")
    with pytest.raises(InputError, match="file: cannot be written: 'utf-8' codec can't encode"):
        write_atomically(path, lambda file: file.write("\udcff"), mode="w")
    assert path.read_text() == "before" and list(tmp_path.iterdir()) == [path]


def test_the_longest_name_that_a_file_system_takes(tmp_path):
    write_atomically(tmp_path / ("x" * 255), lambda file: file.write(b"1"))
    for name in ("x" * 256, "a\0b"):
        with pytest.raises(InputError, match="cannot be written"):
            write_atomically(tmp_path / name, lambda file: file.write(b"1"))
    assert [file.name for file in tmp_path.iterdir()] == ["x" * 255]


def test_global_states_come_back():
    seeding.seed_everything(5)
    state = seeding.global_states()
    draw = lambda: (np.random.rand(), torch.rand(1).item())  # noqa: E731, NPY002
    first = draw()
    assert draw() != first
    seeding.set_global_states(state)
    assert draw() == first


def test_streams_are_reproducible_and_differ():
    def first(*stream):
        return torch.rand(4, generator=seeding.generator(*stream)).tolist()

    assert first(1, "cpu", 2) == first(1, "cpu", 2)
    draws = [first(seed, "cpu", stream) for seed in range(4) for stream in range(4)]
    assert len({tuple(values) for values in draws}) == 16


def test_a_full_disk_is_named_and_costs_nothing(tmp_path):
    """A real one: files of this process may not grow beyond 60 kB."""
    script = f"""if True:
        import resource, signal, torch
        from pathlib import Path
        from repro.files import checkpoint
        folder = Path({str(tmp_path)!r})
        checkpoint.save(folder, 1, {{"a": torch.zeros(10)}})
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))
        checkpoint.save(folder, 2, {{"a": torch.zeros(10**6)}})
    """
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=ENOUGH
    )
    last = done.stderr.strip().splitlines()[-1]
    assert "InputError" in last and "step_00000002.pt: cannot be written: File too large" in last
    assert [file.name for file in tmp_path.iterdir()] == ["step_00000001.pt"]


def test_text_is_utf8_whatever_the_locale(tmp_path):
    script = f"""if True:
        from pathlib import Path
        from repro.files.atomic import write_atomically
        text = "R\\xe9nyi, \\u65e5"
        write_atomically(Path({str(tmp_path / "text")!r}), lambda f: f.write(text), "w")
    """
    locale = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    subprocess.run([sys.executable, "-c", script], env=locale, check=True, timeout=ENOUGH)
    assert (tmp_path / "text").read_text(encoding="utf-8") == "R\xe9nyi, \u65e5"


def test_environment_is_complete():
    described = environment("cpu", {"a.mat": "00"})
    assert described["packages"]["numpy"] == np.__version__
    assert described["device"].startswith("cpu: ") and described["data_files"] == {"a.mat": "00"}


def test_first_signal_asks_second_interrupts():
    before = signal.getsignal(signal.SIGTERM)
    with StopRequest() as stop:
        assert not stop.requested
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.requested
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    with StopRequest() as stop:  # a scheduler may repeat itself
        for number in (signal.SIGUSR2, signal.SIGTERM, signal.SIGUSR2):
            os.kill(os.getpid(), number)
        assert stop.requested
    assert signal.getsignal(signal.SIGTERM) == before != stop._handle


def test_both_packages_never_meet():
    """cizsl and sde do not load each other; test_architecture.py reads the same of every import.

    One room joins the halves: cizsl.score, which nothing else imports before it is asked for.
    """
    code = (
        "import sys, pkgutil, importlib\n"
        "package, *others = sys.argv[1:]\n"
        "folder = importlib.import_module(package).__path__\n"
        "for module in pkgutil.walk_packages(folder, package + '.'):\n"
        "    if not module.name.endswith('__main__') and 'cizsl.score' not in module.name:\n"
        "        importlib.import_module(module.name)\n"
        "bad = [m for m in sys.modules if m.split('.')[0] in others]\n"
        "sys.exit(f'{package} imports {bad}' if bad else 0)\n"
    )
    for package, *others in (("cizsl", "sde"), ("sde", "cizsl")):
        done = subprocess.run(
            [sys.executable, "-c", code, package, *others], capture_output=True, timeout=ENOUGH
        )
        assert done.returncode == 0, done.stderr.decode()
