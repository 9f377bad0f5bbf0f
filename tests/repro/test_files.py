"""Checkpoints, run folders, random states and interruptions."""

import os
import signal
import subprocess
import sys

import numpy as np
import pytest
import torch

from repro import checkpoint, seeding
from repro.config import Settings
from repro.errors import InputError
from repro.run import RunFolder, environment
from repro.signals import StopRequest


class Few(Settings):
    value: int = 1


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
        checkpoint.write_atomically(path, fail, mode="w")
    assert path.read_text() == "before" and list(tmp_path.iterdir()) == [path]


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


def test_log_survives_a_line_cut_in_two(tmp_path):
    with RunFolder(tmp_path / "run", Few()) as folder:
        folder.log("metrics", {"iteration": 1})
        with open(folder.path / "metrics.jsonl", "a") as file:
            file.write('{"iteration": 2, "lo')
        assert folder.read_log("metrics") == [{"iteration": 1}]


def test_a_full_disk_is_named_and_costs_nothing(tmp_path):
    """A real one: files of this process may not grow beyond 60 kB."""
    script = f"""if True:
        import resource, signal, torch
        from pathlib import Path
        from repro import checkpoint
        folder = Path({str(tmp_path)!r})
        checkpoint.save(folder, 1, {{"a": torch.zeros(10)}})
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))
        checkpoint.save(folder, 2, {{"a": torch.zeros(10**6)}})
    """
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    last = done.stderr.strip().splitlines()[-1]
    assert "InputError" in last and "step_00000002.pt: cannot be written: File too large" in last
    assert [file.name for file in tmp_path.iterdir()] == ["step_00000001.pt"]


def test_text_is_utf8_whatever_the_locale(tmp_path):
    script = f"""if True:
        from pathlib import Path
        from repro.checkpoint import write_atomically
        text = "R\\xe9nyi, \\u65e5"
        write_atomically(Path({str(tmp_path / "text")!r}), lambda f: f.write(text), "w")
    """
    locale = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    subprocess.run([sys.executable, "-c", script], env=locale, check=True)
    assert (tmp_path / "text").read_text(encoding="utf-8") == "R\xe9nyi, \u65e5"


@pytest.mark.parametrize("kept", ["results.json", "checkpoints/test/step_00000001.pt"])
def test_what_has_results_or_checkpoints_is_a_run(tmp_path, kept):
    """Without ``environment.json``, as a partial copy is: its configuration stays what it was."""
    with RunFolder(tmp_path, Few(value=2)) as folder:
        folder.write(kept, {})
    before = (tmp_path / "config.yaml").read_text()
    with pytest.raises(InputError, match="holds a run already"):
        RunFolder(tmp_path, Few(value=3)).__enter__()
    with pytest.raises(InputError, match="value 2 here, 3 given"):
        RunFolder(tmp_path, Few(value=3), resume=True).__enter__()
    assert (tmp_path / "config.yaml").read_text() == before


@pytest.mark.parametrize("content", ["{", "{}", "[]", '{"data_files": {}, "device": 1}'])
def test_a_damaged_record_of_the_environment_is_named(tmp_path, content):
    folder = RunFolder(tmp_path, Few())
    (tmp_path / "environment.json").write_text(content)
    with pytest.raises(InputError, match="not the record of a run"):
        folder.record_environment(environment("cpu", {}))


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="file/run: cannot be written"):
        RunFolder(tmp_path / "file" / "run", Few()).__enter__()


def test_a_run_goes_on_where_a_setting_was_added_since(tmp_path):
    class More(Few):
        added: int = 5

    with RunFolder(tmp_path, Few(value=2)) as folder:
        folder.write("environment.json", {})
    with RunFolder(tmp_path, More(value=2), resume=True):
        pass
    for other in (More(value=2, added=6), More(value=3)):
        with pytest.raises(InputError, match="differs from the configuration") as caught:
            RunFolder(tmp_path, other, resume=True).__enter__()
    assert str(caught.value).endswith("cannot resume: value 2 here, 3 given")


def test_a_run_that_could_not_start_leaves_only_what_others_wrote(tmp_path):
    def fail(path):
        with pytest.raises(InputError), RunFolder(path, Few(value=2)):
            raise InputError("no data")

    fail(tmp_path / "runs" / "few" / "seed0")
    assert not list(tmp_path.iterdir())
    (tmp_path / "mine").mkdir()
    fail(tmp_path / "mine")
    assert (tmp_path / "mine" / "config.yaml").exists()
    with RunFolder(tmp_path / "runs" / "few" / "seed1", Few(value=2)):
        fail(tmp_path / "runs" / "few" / "seed0")
    assert [file.name for file in (tmp_path / "runs" / "few").iterdir()] == ["seed1"]
    with pytest.raises(InputError), RunFolder(tmp_path / "begun", Few(value=2)) as folder:
        folder.write("environment.json", {})
        raise InputError("the loss is no number")
    assert folder.started


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
    """cizsl and sde do not import each other, and repro imports neither."""
    code = (
        "import sys, pkgutil, importlib\n"
        "package, *others = sys.argv[1:]\n"
        "folder = importlib.import_module(package).__path__\n"
        "for module in pkgutil.walk_packages(folder, package + '.'):\n"
        "    if not module.name.endswith('__main__'):\n"
        "        importlib.import_module(module.name)\n"
        "bad = [m for m in sys.modules if m.split('.')[0] in others]\n"
        "sys.exit(f'{package} imports {bad}' if bad else 0)\n"
    )
    for package, *others in (("cizsl", "sde"), ("sde", "cizsl"), ("repro", "cizsl", "sde")):
        done = subprocess.run([sys.executable, "-c", code, package, *others], capture_output=True)
        assert done.returncode == 0, done.stderr.decode()
