"""A model on loopback for systems that only speak HTTP: OpenAI's Chat Completions, answered from the pool.

It answers with the prompt's current program plus the next patch. It understands the prompts for full rewrites of
OpenEvolve and ShinkaEvolve. It runs in a thread of the driver, so a candidate's CPU includes some 1 ms of it.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from bench.peers.driving import Run
from bench.peers.world import ids_of, program

HEADING = re.compile(r"^# Current [Pp]rogram$", re.MULTILINE)


@contextmanager
def model(run: Run, latency: float = 0.0) -> Iterator[str]:
    """Serve while the body runs; gives the base URL."""
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._say({"object": "list", "data": [{"id": "stub", "object": "model"}]})

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            time.sleep(latency)
            with lock:
                text = answer(run, "\n".join(_text(message["content"]) for message in body["messages"]))
            choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}
            usage = {"prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 150}
            head = {"id": "c", "object": "chat.completion", "created": 1, "model": body.get("model", "stub")}
            self._say({**head, "choices": [choice], "usage": usage})

        def _say(self, document: dict[str, Any]) -> None:
            raw = json.dumps(document).encode()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1"
    finally:
        server.shutdown()
        server.server_close()


def _text(content: Any) -> str:
    return content if isinstance(content, str) else json.dumps(content)


def answer(run: Run, prompt: str) -> str:
    """The current program with one more patch, as a whole file; the program is the first one after its heading."""
    last = HEADING.split(prompt)[-1]
    line = re.search(r"PATCHES = \[[\d, ]*\]", last)
    code = source(run.deal(ids_of(line[0]) if line else []))
    name = f"<NAME>\np{run.dealt}\n</NAME>\n<DESCRIPTION>\npatch {run.dealt}\n</DESCRIPTION>\n"
    return f"{name}<CODE>\n```python\n{code}```\n</CODE>\n"


def source(ids: list[int]) -> str:
    """A program as a Python file."""
    return f"# EVOLVE-BLOCK-START\n{program(ids)}\n\n\ndef run():\n    return PATCHES\n# EVOLVE-BLOCK-END\n"
