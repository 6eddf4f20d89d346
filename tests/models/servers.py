"""Raw loopback servers, with and without TLS, that answer whatever a test says and keep what they were sent."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from agent.models.ports import Json

Reply = tuple[int, Any, dict[str, str]] | tuple[int, Any]
Answer = Callable[[Json, str], Reply]


@dataclass
class Server:
    """A server on this machine. `paths` and `bodies`: what was asked, in order; `heads`: each request's headers."""

    url: str = ""
    paths: list[str] = field(default_factory=list)
    bodies: list[Json] = field(default_factory=list)
    heads: list[str] = field(default_factory=list)


def _bytes(value: Any) -> bytes:
    if isinstance(value, bytes):
        return value
    return value.encode() if isinstance(value, str) else json.dumps(value).encode()


@asynccontextmanager
async def serving(answer: Answer, tls: ssl.SSLContext | None = None) -> AsyncIterator[Server]:
    """Serve until the block ends; `answer` maps a body and a path to a status, a body and headers."""
    made = Server()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                length = next(
                    (line[15:] for line in head.split("\r\n") if line.lower().startswith("content-length:")), "0"
                )
                body = json.loads(await reader.readexactly(int(length)) or b"{}")
                method, path, _ = head.split(" ", 2)
                made.paths.append(path)
                made.heads.append(head)
                if method == "POST":
                    made.bodies.append(body)
                status, said, *more = answer(body, path)
                raw = _bytes(said)
                kind = "application/json" if isinstance(said, dict | list) else "text/plain"
                headers = {"content-type": kind, **(more[0] if more else {}), "content-length": str(len(raw))}
                lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
                writer.write(f"HTTP/1.1 {status} X\r\n{lines}\r\n".encode() + raw)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    scheme = "https" if tls else "http"
    made.url = f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield made
    finally:
        server.close()


def chat(content: Any = "green", finish: Any = "stop", **message: Any) -> Json:
    """A chat completion."""
    said = {"role": "assistant", "content": content, **message}
    usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
    choices = [{"index": 0, "message": said, "finish_reason": finish}]
    return {"id": "x", "object": "chat.completion", "created": 1, "model": "m", "choices": choices, "usage": usage}


def at(server: Server, path: str = "/v1", **more: Any) -> Json:
    """A configuration with one OpenAI-compatible model at an address."""
    given = {"provider": "openai", "model": "m", "base_url": server.url + path, "attempts": 2, "timeout": 10}
    return {"solver": {**given, **more}}
