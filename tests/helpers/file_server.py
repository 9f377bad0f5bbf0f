"""A server on this machine for downloads: sends files, from an offset where one is asked for."""

import contextlib
import http.server
import threading
from collections.abc import Iterator, MutableMapping


class FileServer(http.server.ThreadingHTTPServer):
    """Serves ``content``, bytes by the file's name below any folder.

    asked: (name, range) of every request. encodings: what each accepts. cut: names of files of
    which one answer ends after half of its bytes.
    """

    def __init__(self, content: MutableMapping[str, bytes]):
        super().__init__(("127.0.0.1", 0), _Answer)
        self.content, self.asked, self.encodings, self.cut = content, [], set(), set()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/data"


class _Answer(http.server.BaseHTTPRequestHandler):
    server: FileServer

    def do_GET(self):
        name, wanted = self.path.split("/")[-1], self.headers.get("Range")
        self.server.asked.append((name, wanted))
        self.server.encodings.add(self.headers.get("Accept-Encoding"))
        content = self.server.content.get(name)
        start = int((wanted or "bytes=0-")[6:-1])
        if content is None or start >= len(content):
            self.send_error(404 if content is None else 416)
            return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        half = name in self.server.cut
        self.server.cut.discard(name)
        self.wfile.write(content[start : (start + len(content)) // 2 if half else None])

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def serving(content: MutableMapping[str, bytes]) -> Iterator[FileServer]:
    """Serve ``content`` until the block ends."""
    with FileServer(content) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield server
        server.shutdown()
