"""Run folders: who owns one, what a resumed run compares, and what is left of a failed start."""

import json
import os
import subprocess
import sys

import pytest

from repro.config import Settings
from repro.environment import environment
from repro.errors import InputError
from repro.run import RunFolder
from tests.helpers.waiting import ENOUGH


class Few(Settings):
    """A configuration of one number."""

    value: int = 1


def begun(path, value=2, **changes):
    """A run folder with the record of its environment."""
    with RunFolder(path, Few(value=value)) as folder:
        folder.write("environment.json", environment("cpu", {"a.mat": "00"}) | changes)
        folder.write("checkpoints/step_00000001.pt", "")
    return path


def resumed(path, **how):
    return RunFolder(path, Few(value=2), resume=True, **how)


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


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("new/" + 300 * "x", "a name of 300 bytes; file systems take 255"),
        ("new/a\0b", "holds no NUL character"),
        ("file/run", "file/run: cannot be written: Not a directory"),
        ("closed/new/run", "closed/new/run: cannot be written: Permission denied"),
    ],
)
def test_a_path_that_no_folder_can_have_is_one_line_and_leaves_nothing(tmp_path, name, expected):
    (tmp_path / "file").write_text("")
    (tmp_path / "closed").mkdir(mode=0o500)
    if os.access(tmp_path / "closed", os.W_OK) and name.startswith("closed"):
        expected = None  # the superuser may write everywhere
    if expected:
        with pytest.raises(InputError, match=expected) as caught:
            RunFolder(tmp_path / name, Few()).__enter__()
        assert "\n" not in str(caught.value)
    assert sorted(place.name for place in tmp_path.iterdir()) == ["closed", "file"]


def test_a_home_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert RunFolder("~/runs", Few()).path == tmp_path / "runs"
    with pytest.raises(InputError, match="no such user"):
        RunFolder("~no_such_user/x", Few())


def test_a_folder_is_removed_when_its_disk_is_full(tmp_path):
    """A real limit: the files of this process may not grow beyond 10 bytes."""
    script = f"""if True:
        import resource, signal
        from repro.run import RunFolder
        from tests.repro.test_run import Few
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (5, 5))
        RunFolder({str(tmp_path / "new" / "run")!r}, Few()).__enter__()
    """
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=ENOUGH
    )
    last = done.stderr.strip().splitlines()[-1]
    assert "InputError" in last and "config.yaml: cannot be written: File too large" in last
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (None, "environment.json: cannot be read: No such file or directory"),
        ("{", "environment.json: not JSON"),
        ("[]", r"environment.json: expected a JSON object, got \[\]"),
        ("3", "expected a JSON object, got 3"),
        ("[" * 5000, "environment.json: not JSON"),
        ("{}", "environment.json: device: Field required"),
        ('{"data_files": {}, "device": 1}', "device: should be a valid string, got 1"),
        ('{"data_files": {"a": 1}, "device": "cpu"}', "should be a valid string, got 1"),
        ('{"data_files": {}, "device": "cpu", "x": 1' + "0" * 5000 + "}", "not JSON"),
    ],
)
def test_a_run_without_its_record_goes_on_only_where_data_are_accepted(
    tmp_path, capsys, content, expected
):
    begun(tmp_path)
    (tmp_path / "environment.json").unlink()
    if content is not None:
        (tmp_path / "environment.json").write_text(content)
    found = environment("cpu", {"a.mat": "11"})
    with resumed(tmp_path) as folder:
        with pytest.raises(InputError, match=expected) as caught:
            folder.record_environment(found)
        assert str(caught.value).endswith("--accept-data goes on")
        assert "\n" not in str(caught.value)
    with resumed(tmp_path, accept_data=True) as folder:
        folder.record_environment(found)
    assert json.loads((tmp_path / "environment.json").read_text()) == found
    assert "warning" in capsys.readouterr().err


def test_other_data_are_refused_unless_they_are_accepted(tmp_path, capsys):
    begun(tmp_path)
    found = environment("cpu", {"a.mat": "11", "b.mat": "22"})
    with resumed(tmp_path) as folder:
        with pytest.raises(InputError, match=r"since the run began: a\.mat, b\.mat; --acc"):
            folder.record_environment(found)
        folder.record_environment(environment("cpu", {"a.mat": "00"}))
    with resumed(tmp_path, accept_data=True) as folder:
        folder.record_environment(found)
    kept = json.loads((tmp_path / "environment.json").read_text())
    assert kept["data_files_before"] == {"a.mat": "00"} and kept["data_files"]["b.mat"] == "22"
    assert "warning" in capsys.readouterr().err


def test_another_kind_of_device_is_refused(tmp_path):
    begun(tmp_path, device="cuda: a GPU")
    expected = pytest.raises(InputError, match="began on cuda; resume it with --device cuda")
    with resumed(tmp_path, accept_data=True) as folder, expected:
        folder.record_environment(environment("cpu", {"a.mat": "00"}))


def test_log_survives_a_line_cut_in_two(tmp_path):
    with RunFolder(tmp_path / "run", Few()) as folder:
        assert folder.read_log("metrics") == []
        folder.log("metrics", {"iteration": 1})
        for torn in ('{"iteration": 2, "lo', "\0\0\0", '{"it\udcff'):
            with open(folder.path / "metrics.jsonl", "a", errors="surrogateescape") as file:
                file.write(torn)
            assert folder.read_log("metrics") == [{"iteration": 1}]
            folder.write_log("metrics", [{"iteration": 1}])


@pytest.mark.parametrize("line", ["3", "null", '"x"', "[]", "[" * 5000, "{", "", "1" * 5000])
def test_a_foreign_line_of_a_log_is_named(tmp_path, line):
    with RunFolder(tmp_path / "run", Few()) as folder:
        folder.log("metrics", {"iteration": 1})
        with open(folder.path / "metrics.jsonl", "a") as file:
            file.write(line + "\n")
        with pytest.raises(InputError, match=r"metrics\.jsonl, line 2: ") as caught:
            folder.read_log("metrics")
        assert len(str(caught.value)) < 400


def test_a_line_of_a_log_is_on_the_disk_before_the_run_goes_on(tmp_path, monkeypatch):
    flushed = []
    monkeypatch.setattr(os, "fsync", lambda handle: flushed.append(os.fstat(handle).st_ino))
    with RunFolder(tmp_path / "run", Few()) as folder:
        flushed.clear()
        folder.log("metrics", {"iteration": 1})
        file = (folder.path / "metrics.jsonl").stat().st_ino
        assert flushed == [file, folder.path.stat().st_ino]
        folder.log("metrics", {"iteration": 2})
        assert flushed[2:] == [file]
