"""Download of the published files, from a server on this machine."""

import subprocess

import pytest

from cizsl.cli.parser import main
from cizsl.prepare import download
from repro.errors import InputError
from tests.helpers.file_server import serving
from tests.helpers.waiting import ENOUGH

SPLIT, TEXT = "train_test_split_easy.mat", "CUB_Porter_7551D_TFIDF_new.mat"
THERE = {SPLIT: b"a" * 3000, TEXT.replace("new", "new_original"): bytes(range(256)) * 20}
LISTED_BY_THE_ISSUE = {  # of the features and texts, whose contents were not seen
    "CUB": {
        "pfc_feat_train.mat": "1902ef74a5ea74c011d78121952be266ecf32c8f",
        "pfc_feat_test.mat": "9e5232ae7c8b299b5c7f37124826b7d7e01e1735",
        "pfc_feat_train_hard.mat": "119807c7b7dcdd393d18587bf0f5471a3cfd316a",
        "pfc_feat_test_hard.mat": "6e15b894f67ec1494b69975df42f2a6bca757c90",
        TEXT: "4311bcb1990912d550b0d20ebbeed2f1d48fd555",
    },
    "NAB": {
        "pfc_feat_test_easy.mat": "299deab74d1b13933308a359bbe895e3745b23da",
        "pfc_feat_test_hard.mat": "7033d9f521affac89adeb7e37d6179b83d1e61f5",
        "NAB_Porter_13217D_TFIDF_new.mat": "4613f11a5683566db71abfac39bf8bfecc1df26e",
    },
}


@pytest.fixture
def server(monkeypatch, tmp_path):
    """A server of two files, which are all that is listed of CUB."""
    for name, content in THERE.items():
        (tmp_path / name).write_bytes(content)
    listed = {name.replace("_original", ""): git_hash(tmp_path / name) for name in THERE}
    monkeypatch.setitem(download.LISTED, "CUB", listed)
    with serving(dict(THERE)) as server:
        yield server


def git_hash(path):
    done = subprocess.run(
        ["git", "hash-object", "--no-filters", path], capture_output=True, text=True, timeout=ENOUGH
    )
    return done.stdout.strip()


def test_checksum_is_that_of_git(tmp_path):
    (tmp_path / "file").write_bytes(b"\r\n\x00" * 999)
    assert download.git_sha1(tmp_path / "file") == git_hash(tmp_path / "file")


@pytest.mark.parametrize("dataset", ["CUB", "NAB"])
def test_checksums_are_those_of_the_listing_and_of_the_real_files(shared, dataset):
    listed = download.LISTED[dataset]
    assert LISTED_BY_THE_ISSUE[dataset].items() <= listed.items()
    folder = shared / "data/birds_text" / {"CUB": "CUB2011", "NAB": "NABird"}[dataset]
    real = {path.name: download.git_sha1(path) for path in folder.iterdir()}
    known = {name: digest for name, digest in listed.items() if name in real}
    assert len(known) == len(listed) - len(LISTED_BY_THE_ISSUE[dataset])
    assert known.items() <= real.items()


def test_files_arrive_under_the_names_that_are_read(server, tmp_path):
    found = download.download("CUB", tmp_path / "root", server.address)
    names = {path.name: path.read_bytes() for path in found.fetched}
    assert names == {SPLIT: THERE[SPLIT], TEXT: THERE[TEXT.replace("new", "new_original")]}
    assert found.missing == found.other == []
    assert download.download("CUB", tmp_path / "root", server.address).fetched == []
    assert len(server.asked) == 2 and server.encodings == {"identity"}


@pytest.mark.parametrize("arrived", [1, 1234, 3000])
def test_a_transfer_continues_where_it_ended(server, tmp_path, arrived):
    folder = tmp_path / "root" / "CUB2011"
    folder.mkdir(parents=True)
    (folder / f".{SPLIT}.part").write_bytes(THERE[SPLIT][:arrived])
    download.download("CUB", tmp_path / "root", server.address)
    assert (folder / SPLIT).read_bytes() == THERE[SPLIT]
    assert (SPLIT, f"bytes={arrived}-") in server.asked
    assert not list(folder.glob(".*"))


def test_a_connection_that_breaks_off_is_one_line_and_the_rest_is_fetched_later(
    server, tmp_path, monkeypatch
):
    monkeypatch.setattr(download, "CHUNK", 500)  # a chunk that is cut off is fetched again
    server.cut.add(SPLIT)
    with pytest.raises(InputError, match="the same command continues"):
        download.download("CUB", tmp_path / "root", server.address)
    download.download("CUB", tmp_path / "root", server.address)
    assert (tmp_path / "root/CUB2011" / SPLIT).read_bytes() == THERE[SPLIT]
    assert server.asked[:2] == [(SPLIT, None), (SPLIT, "bytes=1500-")]


def test_another_content_is_refused_and_leaves_nothing(server, tmp_path):
    server.content[SPLIT] = b"b" * 3000
    with pytest.raises(InputError, match=r"git SHA-1 [0-9a-f]{40}, expected [0-9a-f]{40}"):
        download.download("CUB", tmp_path / "root", server.address)
    assert not list((tmp_path / "root" / "CUB2011").iterdir())


def test_a_file_that_is_there_is_kept_and_named_where_it_is_another(server, tmp_path, capsys):
    folder = tmp_path / "root" / "CUB2011"
    folder.mkdir(parents=True)
    (folder / SPLIT).write_bytes(b"mine")
    command = ["data", "download", "cub", "--root", str(tmp_path / "root")]
    assert main([*command, "--mirror", server.address + "/"]) == 2  # two files are not a dataset
    said = capsys.readouterr().out
    assert f"kept {folder / SPLIT}, which is not the listed file" in said
    assert f"fetched {folder / TEXT}" in said and (folder / SPLIT).read_bytes() == b"mine"


def test_a_file_that_is_not_there_is_one_line(server, tmp_path, capsys):
    del server.content[SPLIT]
    command = ["data", "download", "cub", "--root", str(tmp_path / "root")]
    assert main([*command, "--mirror", server.address]) == 2
    (line,) = [x for x in capsys.readouterr().err.splitlines() if x.startswith("cizsl: error")]
    assert "Not Found" in line and "continues" in line


def test_the_command_says_what_is_missing_of_nabirds(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(download.LISTED, "NAB", {})
    assert main(["data", "download", "nab", "--root", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert "pfc_feat_train_easy.mat" in said and "pfc_feat_train_hard.mat" in said
    (tmp_path / "NABird").mkdir()
    for name in download.UNLISTED["NAB"]:
        (tmp_path / "NABird" / name).touch()
    assert download.download("NAB", tmp_path).missing == []
