"""Downloads from a server of our own: whole and checked, from the first mirror that has them."""

import hashlib
import http.server
import threading
from multiprocessing import get_context

import pytest

from repro.errors import InputError
from sde.data import download
from sde.data.catalogue import DISTRIBUTED, MIRRORS

CONTENT = bytes(range(256)) * 4000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Handler(http.server.BaseHTTPRequestHandler):
    """/good/ serves the file, /cut/ breaks off in its middle, /other/ serves another."""

    def do_GET(self):
        kind = self.path.split("/")[1]
        self.server.asked.append(kind)
        if kind == "none":
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        served = {"good": CONTENT, "cut": CONTENT[:5000], "other": CONTENT[::-1]}[kind]
        self.wfile.write(served)

    def log_message(self, *_):
        pass


@pytest.fixture
def server(monkeypatch):
    """``server(*kinds)`` makes these the mirrors of the data "mine"; returns what was asked for."""
    running = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    running.asked = []
    threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True).start()
    address = f"http://127.0.0.1:{running.server_port}"
    monkeypatch.setitem(DISTRIBUTED, "mine", {"a.gz": SHA256})

    def mirrors(*kinds):
        monkeypatch.setitem(MIRRORS, "mine", tuple(f"{address}/{kind}/" for kind in kinds))
        return running.asked

    yield mirrors
    running.shutdown()
    running.server_close()


@pytest.mark.parametrize(
    "kinds", [["good"], ["none", "good"], ["cut", "good", "none"], ["other", "cut", "good"]]
)
def test_the_first_mirror_that_has_the_file(tmp_path, server, kinds):
    asked = server(*kinds)
    path = download.fetch("mine", "a.gz", tmp_path / "mine")
    assert path.read_bytes() == CONTENT
    assert asked == kinds[: kinds.index("good") + 1]
    assert download.fetch("mine", "a.gz", tmp_path / "mine") == path
    assert len(asked) == kinds.index("good") + 1  # nothing was asked again
    assert {file.name for file in path.parent.iterdir()} == {"a.gz", ".lock"}


def test_where_all_fail_one_line_says_what_to_put_where(tmp_path, server):
    server("none", "cut", "other")
    with pytest.raises(InputError) as caught:
        download.fetch("mine", "a.gz", tmp_path / "mine")
    said = str(caught.value)
    assert str(tmp_path / "mine" / "a.gz") in said and SHA256 in said and "\n" not in said
    for reason in ("none/: HTTP 404", "cut/: cut off", "other/: another checksum"):
        assert reason in said
    assert {file.name for file in (tmp_path / "mine").iterdir()} == {".lock"}


def test_a_server_that_is_not_there(tmp_path, server, monkeypatch):
    server("good")
    monkeypatch.setitem(MIRRORS, "mine", ("http://127.0.0.1:1/",))
    with pytest.raises(InputError, match=r"http://127\.0\.0\.1:1/: no connection"):
        download.fetch("mine", "a.gz", tmp_path)


def test_a_file_that_is_there_is_neither_fetched_nor_replaced(tmp_path, server):
    asked = server("good")
    (tmp_path / "a.gz").write_bytes(b"mine")
    assert download.fetch("mine", "a.gz", tmp_path).read_bytes() == b"mine" and not asked


def test_nothing_is_fetched_where_that_is_not_wanted(tmp_path, server):
    asked = server("good")
    with pytest.raises(InputError, match=r"a\.gz: missing, and data\.download is false"):
        download.fetch("mine", "a.gz", tmp_path / "new", download=False)
    assert not asked and not (tmp_path / "new").exists()


def test_a_folder_that_cannot_be_written(tmp_path, server):
    server("good")
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="file/mine: cannot be written: Not a directory"):
        download.fetch("mine", "a.gz", tmp_path / "file" / "mine")


def test_of_processes_that_need_one_file_one_fetches_it(tmp_path, server):
    asked = server("good")
    context = get_context("fork")
    arguments = ("mine", "a.gz", tmp_path)
    processes = [context.Process(target=download.fetch, args=arguments) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0
    assert asked == ["good"]


def test_every_published_file_has_a_checksum_and_a_mirror():
    assert set(MIRRORS) == set(DISTRIBUTED)
    for name, files in DISTRIBUTED.items():
        assert all(mirror.endswith("/") for mirror in MIRRORS[name])
        assert all(len(bytes.fromhex(digest)) == 32 for digest in files.values())
