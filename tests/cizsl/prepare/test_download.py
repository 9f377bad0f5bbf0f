"""Download of the published files, from a server on this machine."""

import http.server
import subprocess
import threading
from typing import ClassVar

import pytest

from cizsl.cli.parser import main
from cizsl.prepare import download
from repro.errors import InputError
from tests.helpers.waiting import ENOUGH

CONTENT = {
    "train_test_split_easy.mat": b"a" * 3000,
    "CUB_Porter_7551D_TFIDF_new_original.mat": bytes(range(256)) * 20,
}


class Files(http.server.BaseHTTPRequestHandler):
    """Serves CONTENT below any folder, from an offset where one is asked for."""

    asked: ClassVar[list] = []

    def do_GET(self):
        name = self.path.split("/")[-1]
        self.asked.append((name, self.headers.get("Range")))
        if name not in CONTENT:
            self.send_error(404)
            return
        start = int((self.headers.get("Range") or "bytes=0-")[6:-1])
        if start >= len(CONTENT[name]):
            self.send_error(416)
            return
        body = CONTENT[name][start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def mirror(monkeypatch, tmp_path):
    """The address of the server, with two files listed."""
    for name, content in CONTENT.items():
        (tmp_path / name).write_bytes(content)
    listed = {name.replace("_original", ""): git_hash(tmp_path / name) for name in CONTENT}
    monkeypatch.setitem(download.LISTED, "CUB", listed)
    monkeypatch.setattr(Files, "asked", [])
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Files)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/data"
    server.shutdown()
    server.server_close()


def git_hash(path):
    done = subprocess.run(
        ["git", "hash-object", "--no-filters", path], capture_output=True, text=True, timeout=ENOUGH
    )
    return done.stdout.strip()


def test_checksum_is_that_of_git(tmp_path):
    (tmp_path / "file").write_bytes(b"\r\n\x00" * 999)
    assert download.git_sha1(tmp_path / "file") == git_hash(tmp_path / "file")


def test_files_arrive_under_the_names_that_are_read(mirror, tmp_path):
    fetched, missing = download.download("CUB", tmp_path / "root", mirror)
    names = {path.name: path.read_bytes() for path in fetched}
    assert names == {name.replace("_original", ""): body for name, body in CONTENT.items()}
    assert missing == ()
    assert download.download("CUB", tmp_path / "root", mirror)[0] == []
    assert len(Files.asked) == 2


@pytest.mark.parametrize("arrived", [1, 1234, 3000])
def test_a_transfer_continues_where_it_ended(mirror, tmp_path, arrived):
    folder = tmp_path / "root" / "CUB2011"
    folder.mkdir(parents=True)
    name = "train_test_split_easy.mat"
    (folder / f".{name}.part").write_bytes(CONTENT[name][:arrived])
    download.download("CUB", tmp_path / "root", mirror)
    assert (folder / name).read_bytes() == CONTENT[name]
    assert (name, f"bytes={arrived}-") in Files.asked
    assert not list(folder.glob(".*"))


def test_another_content_is_refused_and_leaves_nothing(mirror, tmp_path, monkeypatch):
    monkeypatch.setitem(CONTENT, "train_test_split_easy.mat", b"b" * 3000)
    with pytest.raises(InputError, match=r"git SHA-1 [0-9a-f]{40}, expected [0-9a-f]{40}"):
        download.download("CUB", tmp_path / "root", mirror)
    assert not list((tmp_path / "root" / "CUB2011").iterdir())


def test_a_file_that_is_not_there_is_one_line(mirror, tmp_path, monkeypatch, capsys):
    monkeypatch.delitem(CONTENT, "train_test_split_easy.mat")
    monkeypatch.setattr(download.download, "__defaults__", (mirror,))
    assert main(["data", "download", "cub", "--root", str(tmp_path / "root")]) == 2
    (line,) = [x for x in capsys.readouterr().err.splitlines() if x.startswith("cizsl: error")]
    assert "Not Found" in line and "continues" in line


def test_the_command_says_what_is_missing_of_nabirds(mirror, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(download.LISTED, "NAB", {})
    assert main(["data", "download", "nab", "--root", str(tmp_path / "root")]) == 0
    assert "pfc_feat_train_easy.mat" in capsys.readouterr().out
