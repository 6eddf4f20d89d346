"""A node's engine is given an image: what it refuses is said, and nothing returns before it is done."""

from __future__ import annotations

import http.server
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from agent.base.errors import SandboxDown

pytest.importorskip("ray")

from agent.trials.cluster.parcels import Image, load

IMAGE = Image("boxes:1", "sha256:ab")
LOADED = b'{"stream":"Loaded image: boxes:1\\n"}\r\n'
FULL = b'{"errorDetail":{"message":"no space left on device"},"error":"no space left on device"}\r\n'


class Engine(http.server.ThreadingHTTPServer):
    """An engine that answers a `load` with a status and chunks, and knows some tags once that is done."""

    def __init__(self, status: int, chunks: tuple[bytes, ...], tags: tuple[str, ...]) -> None:
        super().__init__(("127.0.0.1", 0), _Request)
        self.status, self.chunks, self.tags, self.done = status, chunks, tags, False


class _Request(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Engine

    def do_GET(self) -> None:
        known = any(f"/images/{tag}/json" in self.path for tag in self.server.tags)
        body = {"ApiVersion": "1.44", "Version": "1"} if self.path.endswith("/version") else {"Id": "sha256:ab"}
        told = json.dumps(body if known or "ApiVersion" in body else {"message": "no such image"}).encode()
        self.send_response(200 if known or "ApiVersion" in body else 404)
        self.send_header("Content-Length", str(len(told)))
        self.end_headers()
        self.wfile.write(told)

    def do_POST(self) -> None:
        while (size := int(self.rfile.readline(), 16)) > 0:
            self.rfile.read(size + 2)
        self.rfile.readline()
        self.send_response(self.server.status)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for chunk in (*self.server.chunks, b""):
            time.sleep(0.05)
            self.server.done = not chunk
            self.wfile.write(f"{len(chunk):x}\r\n".encode() + chunk + b"\r\n")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def engine(
    monkeypatch: pytest.MonkeyPatch, *chunks: bytes, status: int = 200, tags: tuple[str, ...] = ("boxes:1",)
) -> Iterator[Engine]:
    with Engine(status, chunks, tags) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{server.server_port}")
        try:
            yield server
        finally:
            server.shutdown()


def test_an_image_is_loaded_when_the_engine_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    with engine(monkeypatch, b'{"status":"Loading"}\r\n', LOADED) as server:
        load(IMAGE, [])
        assert server.done


@pytest.mark.parametrize(("status", "said"), [(500, b'{"message":"no space left on device"}'), (200, LOADED + FULL)])
def test_an_engine_that_refuses_an_image_is_down_for_the_reason_that_it_gave(
    status: int, said: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    with engine(monkeypatch, said, status=status), pytest.raises(SandboxDown, match=r"boxes:1.*no space left"):
        load(IMAGE, [])


def test_an_image_that_is_not_there_after_it_was_loaded_is_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    with engine(monkeypatch, LOADED, tags=()), pytest.raises(SandboxDown, match="no such image"):
        load(IMAGE, [])
