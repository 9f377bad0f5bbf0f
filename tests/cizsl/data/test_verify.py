"""Hostile, damaged and inconsistent files: `load_birds` refuses them, `verify` lists them all."""

import os
import pickle
import subprocess

import numpy as np
import pytest
import scipy.io
from hypothesis import given, settings
from hypothesis import strategies as st

from cizsl.cli.parser import main
from cizsl.data import birds, birds_layout, verify
from repro.errors import InputError
from tests.cizsl.data.test_birds import bird_split, write


class Calls:
    """Pickles as a call of any function."""

    def __init__(self, function, *args):
        self.reduced = function, args

    def __reduce__(self):
        return self.reduced


def hostile(marker):
    touch = f"open({str(marker)!r}, 'w')"
    yield Calls(os.system, f"touch {marker}")
    yield Calls(eval, touch)
    yield Calls(exec, touch)
    yield [np.uint8(1), Calls(eval, touch)]
    yield {"labels": np.zeros(3, np.uint8), "more": Calls(subprocess.call, ["touch", marker])}
    yield Calls(map, Calls(getattr, "", "join"), Calls(eval, touch))
    yield Calls(pickle.loads, pickle.dumps(Calls(os.system, f"touch {marker}")))
    yield Calls(np.savetxt, str(marker), [0])


OPCODES = {  # what pickle.dumps does not write: a Python 2 name, attributes of admitted names, ...
    "python 2": b'c__builtin__\neval\n(S\'open("{}", "w")\'\ntR.',
    "inst": b"(S'touch {}'\nios\nsystem\n.",
    "attribute": b"\x80\x04\x8c\x05numpy\x8c\x0edtype.__init__\x93.",
    "submodule": b"cnumpy.core.multiarray\nfromfile\n.",
    "decode": b"c_codecs\ndecode\n.",
    "persistent": b"Pos\n.",
    "extension": b"\x80\x02\x82\x01.",
    "state of a type": b"cnumpy\ndtype\n(dS'decode'\nNstb.",
    "objects": pickle.dumps(np.array([None, 1]), 2),
    "floats": pickle.dumps(np.zeros(3), 2),
    "empty": pickle.dumps([], 2),
    "text": pickle.dumps(["a"], 2),
    "no pickle": b"0 1 2 3",
    "nothing": b"",
}


def refused(path, content):
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        birds_layout.read_labels(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_no_pickle_runs_anything(tmp_path, protocol):
    marker, path = tmp_path / "ran", tmp_path / "labels.pkl"
    for program in hostile(marker):
        assert "refused to call" in refused(path, pickle.dumps(program, protocol))
        assert not marker.exists()
    pickle.loads(pickle.dumps(Calls(os.system, f"touch {marker}")))
    assert marker.exists()  # as it would have


@pytest.mark.parametrize("opcodes", OPCODES)
def test_no_strange_pickle_passes(tmp_path, opcodes):
    marker = tmp_path / "ran"
    refused(tmp_path / "labels.pkl", OPCODES[opcodes].replace(b"{}", str(marker).encode()))
    assert not marker.exists()


@pytest.mark.parametrize("compress", [False, True])
def test_truncation_is_noticed_wherever_it_falls(tmp_path, compress):
    folder, *_ = write(tmp_path, compress=compress)
    for name in birds_layout.LAYOUTS["CUB"]["easy"].values():
        whole = (folder / name).read_bytes()
        for length in [*range(0, len(whole), 11), len(whole) - 1]:
            (folder / name).write_bytes(whole[:length])
            with pytest.raises(InputError, match=name):
                birds.load_birds(tmp_path)
        (folder / name).write_bytes(whole)
    birds.load_birds(tmp_path)


@given(seed=st.integers(0, 2**32 - 1), compress=st.booleans())
@settings(max_examples=150, deadline=None)
def test_damage_is_an_input_error_or_harmless(tmp_path_factory, seed, compress):
    """A few bytes changed, as by a bad disk: scipy's reader and numpy's pickles crash on some."""
    random, root = np.random.default_rng(seed), tmp_path_factory.mktemp("birds")
    folder, *_ = write(root, compress=compress)
    path = folder / random.choice(list(birds_layout.LAYOUTS["CUB"]["easy"].values()))
    content = bytearray(path.read_bytes())
    for position in random.integers(len(content), size=3):
        content[position] = random.integers(256)
    path.write_bytes(content)
    try:
        birds.load_birds(root)
    except InputError as error:
        assert "\n" not in str(error)


EASY = birds_layout.LAYOUTS["CUB"]["easy"]
FEATURES, LABELS = EASY["train_features"], EASY["train_labels"]
ordinary = bird_split()
NOT_A_NUMBER = np.where(np.arange(39).reshape(13, 3) == 20, np.nan, 1)


def with_label(value):
    return {"train_labels": np.concatenate([ordinary.train_labels[1:], [value]])}


INCONSISTENT = {  # what is changed in the easy split: the file blamed and what is said of it
    "fewer labels": ({"train_labels": [0, 1, 2, 3]}, LABELS, "4 labels, but features of 13"),
    "label": (with_label(4), LABELS, "labels 4 are out of range; expected 0 to 3"),
    "label 255": (with_label(255), LABELS, "labels 255 are out of range"),
    "id 0": ({"train_ids": [0, 3, 4, 6]}, EASY["ids"], "train_cid holds 0; expected 1 to 6"),
    "id 7": ({"test_ids": [5, 7]}, EASY["ids"], "test_cid holds 7; expected 1 to 6"),
    "id 2.5": ({"test_ids": [5, 2.5]}, EASY["ids"], "test_cid must hold whole numbers"),
    "id NaN": ({"test_ids": [5, np.nan]}, EASY["ids"], "test_cid must hold whole numbers"),
    "id twice": ({"test_ids": [5, 5]}, EASY["ids"], "test_cid repeats the classes 5"),
    "overlap": ({"test_ids": [1, 6]}, EASY["ids"], "both seen and unseen: 1, 6"),
    "dimensions": (
        {"test_features": np.ones((13, 2))},
        EASY["test_features"],
        "2 features an image, but training has 3",
    ),
    "NaN": ({"train_features": NOT_A_NUMBER}, FEATURES, "holds NaN"),
    "infinity": ({"train_features": -np.inf * NOT_A_NUMBER}, FEATURES, "holds NaN, infinities"),
    "float32": ({"train_features": np.full((13, 3), 1e99)}, FEATURES, "beyond float32"),
    "complex": ({"train_features": np.ones((13, 3)) * 1j}, FEATURES, "must be a dense matrix"),
    "cube": ({"train_features": np.ones((13, 3, 1, 2))}, FEATURES, "must be a dense matrix"),
    "sparse": ({"train_features": scipy.sparse.eye(13)}, FEATURES, "must be a dense matrix"),
    "empty": ({"train_features": np.ones((0, 3))}, FEATURES, "not empty"),
}


@pytest.mark.parametrize("case", INCONSISTENT)
def test_inconsistency(tmp_path, case):
    """One line from `load_birds`, naming the file, and the same among the errors of `verify`."""
    changes, name, message = INCONSISTENT[case]
    folder, *_ = write(tmp_path, **changes)
    with pytest.raises(InputError, match=message) as caught:
        birds.load_birds(tmp_path)
    assert str(caught.value).startswith(str(folder / name))
    birds.load_birds(tmp_path, split="hard")
    errors = [finding for finding in verify.verify(tmp_path) if finding.level == "error"]
    assert any(f.file == str(folder / name) and message in f.message for f in errors)


def test_wrong_variable_and_wrong_format(tmp_path):
    folder, *_ = write(tmp_path)
    scipy.io.savemat(folder / FEATURES, {"features": np.eye(3), "labels": [1]})
    with pytest.raises(InputError, match=r"no variable pfc_feat; .* \['features', 'labels'\]"):
        birds.load_birds(tmp_path)
    head = b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM"
    (folder / FEATURES).write_bytes(head.ljust(512) + b"\x89HDF\r\n\x1a\n")
    with pytest.raises(InputError, match=r"version 5 to 7\.2"):
        birds.load_birds(tmp_path)


def test_all_missing_files_are_named_at_once(tmp_path):
    with pytest.raises(InputError, match=r"no folder CUB2011 here; data/README.md says where"):
        birds.load_birds(tmp_path)
    folder, *_ = write(tmp_path)
    missing = [EASY["ids"], FEATURES, LABELS]
    for name in missing:
        (folder / name).unlink()
    with pytest.raises(InputError, match=f"missing {', '.join(missing)}; .*`cizsl data toy`"):
        birds.load_birds(tmp_path)
    for dataset, split in [("cub", "easy"), ("CUB", "medium")]:
        with pytest.raises(InputError, match="expected easy or hard of CUB or NAB"):
            birds.load_birds(tmp_path, dataset, split)


def test_verify_lists_everything_at_once(tmp_path, capsys):
    changes = {"train_ids": [1, 3, 3, 9], "test_ids": [1, 2], "test_features": NOT_A_NUMBER[:9]}
    folder, *_ = write(tmp_path, **changes)
    hard = birds_layout.LAYOUTS["CUB"]["hard"]
    (folder / hard["train_labels"]).write_bytes(b"junk")
    (folder / hard["test_features"]).unlink()
    assert verify.run_verify(tmp_path) == 2
    *lines, summary = capsys.readouterr().out.splitlines()
    assert summary == f"{tmp_path}: 7 errors, 7 notes"
    expected = [
        (EASY["ids"], "train_cid repeats the classes 3"),
        (EASY["ids"], "train_cid holds 9; expected 1 to 6"),
        (EASY["ids"], "classes both seen and unseen: 1"),
        (EASY["test_features"], "holds NaN"),
        (EASY["test_labels"], "13 labels, but features of 9 images"),
        (hard["train_labels"], "not a pickle of labels"),
        (hard["test_features"], "missing; data/README.md says where"),
    ]
    for name, message in expected:
        assert any(line.startswith(f"error: {folder / name}: {message}") for line in lines)


def test_notes_are_no_errors(tmp_path):
    """Files of another content than the published, a class without images, a term list too long."""
    folder, *_ = write(tmp_path, train_labels=ordinary.train_labels % 3)
    scipy.io.savemat(
        folder / birds_layout.LAYOUTS["CUB"]["terms"], {"TFIDF_Term": np.array(["a", "b"])}
    )
    birds.load_birds(tmp_path)
    findings = verify.verify(tmp_path)
    assert {finding.level for finding in findings} == {"note"}
    messages = [finding.message for finding in findings]
    assert "no images for the labels 3" in messages
    assert "2 rows of TFIDF_Term, but the text has 5 terms" in messages
    assert sum("SHA-256" in message for message in messages) == 7
    (folder / birds_layout.LAYOUTS["CUB"]["terms"]).unlink()
    assert any("no training needs it" in finding.message for finding in verify.verify(folder))
    (folder / "TOY.md").touch()
    assert not any("SHA-256" in finding.message for finding in verify.verify(tmp_path))
    assert verify.run_verify(tmp_path) == 0
    (only,) = verify.verify(tmp_path / "nowhere")
    assert only.level == "error" and "no folder CUB2011 or NABird here" in only.message


def test_published_files_have_the_published_checksums(shared, capsys):
    """All that is wrong with the real files is that features and TF-IDF are not among them."""
    root = shared / "data/birds_text"
    findings = verify.verify(root)
    assert len(findings) == 10 and all("missing" in finding.message for finding in findings)
    assert verify.run_inspect(root) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert rows[14][:4] == ["NABird/labels_train.pkl", "(labels)", "(39230,)", "uint16"]
    assert len(rows) == 20


def test_inspect_shows_what_is_there(tmp_path):
    folder, *_ = write(tmp_path)
    (folder / LABELS).write_bytes(b"junk")
    rows = {line.split()[0]: line for line in verify.inspect(tmp_path).splitlines()}
    assert "(13, 3)" in rows[f"CUB2011/{FEATURES}"] and "float32" in rows[f"CUB2011/{FEATURES}"]
    assert "0 to 1, 2 classes" in rows[f"CUB2011/{EASY['test_labels']}"]
    assert "not a pickle of labels" in rows[f"CUB2011/{LABELS}"]
    with pytest.raises(InputError, match="no files of birds here"):
        verify.inspect(tmp_path / "nowhere")


def test_inspect_names_what_it_cannot_read(tmp_path, capsys):
    folder, *_ = write(tmp_path)
    assert main(["data", "inspect", str(tmp_path)]) == 0
    (folder / LABELS).write_bytes(b"junk")
    assert main(["data", "inspect", str(tmp_path)]) == 2
    assert f"cannot be read: CUB2011/{LABELS}\n" in capsys.readouterr().err
