"""An instant model on loopback, in a process of its own: the smallest OpenAI-compatible server that SDKs accept."""

from __future__ import annotations

import asyncio
import json
import sys

WORDS = 20
HEAD = {"id": "chatcmpl-1", "created": 0, "model": "instant"}
TEXT = " ".join(f"word{i}" for i in range(WORDS))
USAGE = {"prompt_tokens": 10, "completion_tokens": WORDS, "total_tokens": 10 + WORDS}
MESSAGE = {"index": 0, "message": {"role": "assistant", "content": TEXT}, "finish_reason": "stop"}
WHOLE = json.dumps({**HEAD, "object": "chat.completion", "choices": [MESSAGE], "usage": USAGE}).encode()


def _chunk(delta: dict[str, str], finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return b"data: " + json.dumps({**HEAD, "object": "chat.completion.chunk", "choices": [choice]}).encode() + b"\n\n"


STREAM = b"".join(_chunk({"content": f"word{i} "}) for i in range(WORDS)) + _chunk({}, "stop") + b"data: [DONE]\n\n"


def _reply(kind: bytes, body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s" % (kind, len(body), body)


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0] or 0)
            body = await reader.readexactly(length)
            streams = b'"stream":true' in body.replace(b" ", b"")
            writer.write(_reply(b"text/event-stream", STREAM) if streams else _reply(b"application/json", WHOLE))
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


async def main() -> None:
    server = await asyncio.start_server(_serve, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main())
