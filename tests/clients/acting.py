"""A model on loopback that plays solver and improver for any number of boxes at once, in the dialect of its provider.

It keeps no state: how far an agent is shows in the conversation that it sends. As solver it does the task wrong until
the prompt holds `MARK`; as improver it writes `MARK` into a prompt. So an improvement is real, and can be proven.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from uvicorn import Config, Server

from tests.clients import recipes
from tests.clients.known import CLIENTS, running
from tests.clients.server import Json, Scripted, Step

MARK = "Be exact"
SOLVER, IMPROVER = "the-solver", "the-improver"
PATCH = f"Ask for exact work\n\nSolutions were not exact. {MARK}.\n"
_EDITS = {"mini-swe-agent": ("You solve", f"{MARK}: you solve")}


def prompt_of(name: str) -> tuple[str, str, str]:
    """The prompt that is improved in the scaffold of a recipe: its path, and what in it is replaced by what."""
    files = recipes.load(name).files
    path = next(path for path in files if path.endswith((".md", ".yaml")))
    first = files[path].decode().split(maxsplit=1)[0]
    return path, *_EDITS.get(name, (first, f"{MARK}. {first}"))


def solving(name: str, body: str) -> tuple[Step, ...]:
    """Answers by which an agent writes solution.py."""
    if name == "aider":
        return (Step(text=f"solution.py\n```\n{body}\n```\n"),)
    return (running(name, f"echo '{body}' > solution.py"), CLIENTS[name].steps[-1])


def improving_another(name: str, target: str) -> tuple[Step, ...]:
    """Answers by which an agent improves the prompt of a recipe's scaffold."""
    path, old, new = prompt_of(target)
    if name == "aider":
        whole = recipes.load(target).files[path].decode().replace(old, new, 1)
        return (Step(text=f"{path}\n```\n{whole}```\n\nPATCH.md\n```\n{PATCH}```\n"),)
    said = PATCH.replace("\n", "\\n")
    command = f"sed -i '0,/{old}/s//{new}/' {path} && printf '{said}' > PATCH.md && git diff --stat"
    return (running(name, command), CLIENTS[name].steps[-1])


def acting(solver: str, improver: str) -> Scripted:
    """The model of a campaign whose scaffold is one recipe, and whose improver is another one or the same."""

    def choose(body: Json) -> Step:
        name = improver if body.get("model") == IMPROVER else solver
        aside = CLIENTS[name].aside
        if aside is not None and not body.get("tools"):
            return Step(text=aside)
        good = MARK in json.dumps(body)
        steps = (
            improving_another(name, solver)
            if body.get("model") == IMPROVER
            else solving(name, "x = 1" if good else "x = 2")
        )
        answered = sum(message.get("role") == "assistant" for message in body["messages"])
        return steps[min(answered, len(steps) - 1)]

    return Scripted(choose)


@contextmanager
def served(model: Scripted) -> Iterator[str]:
    """Serve a model on loopback; gives its address."""
    server = Server(Config(model.app(), host="127.0.0.1", port=0, log_level="error", lifespan="off"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join()
