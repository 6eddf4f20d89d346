"""The stream of a container's standard input and output, over any way to the engine."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

from docker.errors import DockerException

from sandbox.endpoint import Endpoint, socket_path
from sandbox.wire import STREAM_LIMIT, Wire

ATTACH_SECONDS = 60.0
ANSWER_MAX = 1 << 13
ACCEPTED = (b"101", b"200")
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def attach(endpoint: Endpoint, url: str, version: str, container: str) -> Wire:
    """Attach to a container that was created. `url` is what the endpoint's clients connect to.

    Raises:
        DockerException: the engine refused.
        OSError: no connection.
    """
    async with asyncio.timeout(ATTACH_SECONDS):
        reader, writer = await _connect(endpoint, url)
        try:
            await _ask(reader, writer, f"/v{version}/containers/{container}/attach?stream=1&stdin=1&stdout=1&stderr=1")
        except BaseException:
            writer.transport.abort()
            raise
    return Wire(reader, writer)


def _connect(endpoint: Endpoint, url: str) -> Awaitable[Streams]:
    if url.startswith("unix://"):
        return asyncio.open_unix_connection(socket_path(url), limit=STREAM_LIMIT)
    host, port = endpoint.address()
    return asyncio.open_connection(host, port, ssl=endpoint.ssl(), limit=STREAM_LIMIT)


async def _ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, path: str) -> None:
    head = f"POST {path} HTTP/1.1\r\nHost: docker\r\nConnection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: 0\r\n\r\n"
    writer.write(head.encode())
    try:
        answer = await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
        raise DockerException("the engine broke off an attach") from error
    if answer[9:12] not in ACCEPTED:
        said = await reader.read(ANSWER_MAX)
        raise DockerException(f"attach: {said.decode(errors='replace').strip() or answer.decode(errors='replace')}")
