"""Capture what today's clients send: `python -m tests.clients.capture [NAME ...]` writes tests/clients/data/NAME.json.

Each client of known.py runs in a real box with its newest release, against server.py in the place of the gateway.
It takes Docker and the package registries. To renew the data: raise the versions in recipes/ and known.py, run this,
read the difference, and let test_requests.py tell what the gateway makes of it.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from agent.trials.executor import Visited
from sandbox.docker_sandbox import DockerSandbox
from tests.clients import boxes
from tests.clients.known import CLIENTS, Client
from tests.clients.server import Json, Scripted, Seen, in_turn
from tests.clients.trim import trim

DATA = Path(__file__).parent / "data"
WIDTH = 116


async def capture(sandbox: DockerSandbox, client: Client) -> tuple[Scripted, Visited]:
    """Run one client and keep what it sent."""
    scripted = Scripted(in_turn(client.steps, client.aside))
    gateway = boxes.TapGateway(scripted)
    visited = await boxes.visit(sandbox, gateway, client.recipe, workspace=client.workspace, command=client.command)
    return scripted, visited


def described(client: Client, scripted: Scripted) -> Json:
    """The data of one client."""
    release = client.recipe.data["release"]
    return {
        "client": client.recipe.data["title"],
        "package": f"{release['registry']}:{release['package']}",
        "version": release["version"],
        "seen": dt.datetime.now(dt.UTC).date().isoformat(),
        "note": client.note,
        "requests": [trim(seen) for seen in _in_order(client, scripted.seen)],
    }


def _in_order(client: Client, seen: list[Seen]) -> list[Seen]:
    """Calls for titles first: they are made beside the conversation, in an order of chance."""
    if client.aside is None:
        return seen
    return sorted(seen, key=lambda one: isinstance(one.body, dict) and bool(one.body.get("tools")))


def pretty(value: Any, indent: int = 0) -> str:
    """JSON with one line for what fits into one."""
    line = json.dumps(value, ensure_ascii=False)
    if indent + len(line) <= WIDTH or not isinstance(value, dict | list):
        return line
    pad = " " * (indent + 1)
    if isinstance(value, list):
        return "[\n" + ",\n".join(pad + pretty(inner, indent + 1) for inner in value) + f"\n{pad[1:]}]"
    inside = [f"{pad}{json.dumps(name)}: {pretty(inner, indent + 1)}" for name, inner in value.items()]
    return "{\n" + ",\n".join(inside) + f"\n{pad[1:]}}}"


async def main(names: list[str]) -> None:
    """Capture the named clients, or all."""
    with tempfile.TemporaryDirectory(prefix="rc") as folder:
        async with DockerSandbox("capture", f"clients-{os.getpid()}", Path(folder), ready=0) as sandbox:
            for name in names or sorted(CLIENTS):
                scripted, visited = await capture(sandbox, CLIENTS[name])
                run = visited.run
                _say(f"{name}: {len(scripted.seen)} requests, {run.ending} {run.exit_code}, {run.seconds:.0f} s")
                if not scripted.seen or run.exit_code:
                    _say(run.output.decode(errors="replace")[-3000:])
                    continue
                text = pretty(described(CLIENTS[name], scripted)) + "\n"
                (DATA / f"{name}.json").write_text(text, encoding="utf-8")


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
