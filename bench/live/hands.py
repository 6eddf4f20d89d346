"""A model whose answers several writers write by hand, for campaigns with a capable improver and no key.

    python -m bench.live.hands serve FOLDER [--port 9911]     an OpenAI-compatible endpoint on loopback
    python -m bench.live.hands next FOLDER WRITER             waits for a request and prints what is new in it
    python -m bench.live.hands reply FOLDER WRITER N          answers request N from standard input, then as `next`

A writer keeps the conversations that it began: a request goes to the one that wrote the answer before it. An answer
is text under marks: `%%% content`, or `%%% call TOOL` followed by `%%% arg NAME` (a string, as it is) or by
`%%% json NAME` (any other value); `%%% end` ends it. A file `stop` in the folder sends the writers home.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import itertools
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import uvicorn
from filelock import FileLock
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

LOOK_SECONDS = 0.2
WAIT_SECONDS = 540.0
Message = dict[str, Any]


# --------------------------------------------------------------------------------------- the endpoint


def endpoint(folder: Path) -> Starlette:
    """Requests go to FOLDER/inbox/N.json, answers come from FOLDER/outbox/N.json."""
    numbers = itertools.count(1 + max((number(path) for path in (folder / "inbox").glob("*.json")), default=0))

    async def answer(request: Request) -> Response:
        n = next(numbers)
        body = await request.json()
        put(folder / "inbox" / f"{n}.json", body)
        path = folder / "outbox" / f"{n}.json"
        while not path.exists():  # noqa: ASYNC110 - a writer is another process
            await asyncio.sleep(LOOK_SECONDS)
        return JSONResponse(completion(n, body, json.loads(path.read_text(encoding="utf-8"))))

    async def models(_: Request) -> Response:
        return JSONResponse({"object": "list", "data": [{"id": "by-hand", "object": "model"}]})

    return Starlette(
        routes=[Route("/v1/models", models), Route("/v1/chat/completions", answer, methods=["POST"])],
    )


def completion(n: int, body: Message, answer: Message) -> Message:
    """An answer in the words of Chat Completions; tokens are counted as four characters each."""
    calls = [
        {"id": f"call_{n}_{at}", "type": "function", "function": {**call, "arguments": json.dumps(call["arguments"])}}
        for at, call in enumerate(answer["calls"])
    ]
    message = {"role": "assistant", "content": answer["content"], **({"tool_calls": calls} if calls else {})}
    asked, said = (len(json.dumps(part)) // 4 for part in (body, answer))
    return {
        "id": f"by-hand-{n}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": body["model"],
        "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls" if calls else "stop"}],
        "usage": {"prompt_tokens": asked, "completion_tokens": said, "total_tokens": asked + said},
    }


# --------------------------------------------------------------------------------------- the writers


def waiting(folder: Path) -> Iterator[int]:
    """The requests without an answer, the oldest first."""
    for n in sorted(number(path) for path in (folder / "inbox").glob("*.json")):
        if not (folder / "outbox" / f"{n}.json").exists():
            yield n


def take(folder: Path, writer: str) -> int | None:
    """The oldest request that is this writer's, or nobody's yet."""
    with FileLock(folder / "lock"):
        for n in waiting(folder):
            claim = folder / "claims" / str(n)
            if not claim.exists() and continued(folder, n, writer)[0] == writer:
                claim.write_text(writer, encoding="utf-8")
            if claim.exists() and claim.read_text(encoding="utf-8") == writer:
                return n
    return None


def continued(folder: Path, n: int, writer: str) -> tuple[str, int]:
    """(who wrote the last answer, the number of the first request) of the conversation that a request continues.

    A new conversation begins with this request, and is for the writer who asks. A gateway renames calls, but keeps the
    rest of an answer.
    """
    last = next((one for one in reversed(read(folder, n)["messages"]) if one["role"] == "assistant"), None)
    if last is None:
        return writer, n
    functions = [call["function"] for call in last.get("tool_calls") or []]
    calls = [{"name": one["name"], "arguments": json.loads(one["arguments"])} for one in functions]
    path = folder / "claims" / mark(last.get("content"), calls)
    if not path.exists():
        return writer, n
    wrote, first = path.read_text(encoding="utf-8").split()
    return wrote, int(first)


def mark(content: str | None, calls: list[Message]) -> str:
    """A name for an answer."""
    said = json.dumps([(content or "").strip(), calls], sort_keys=True)
    return hashlib.sha256(said.encode()).hexdigest()


def answer_of(text: str) -> Message:
    """The answer that a writer wrote. Raises ValueError, which names the line, for a mark that does not exist."""
    answer: Message = {"content": None, "calls": []}
    for part in ("\n" + text).split("\n%%% ")[1:]:
        head, _, value = part.partition("\n")
        match head.split():
            case ["content"]:
                answer["content"] = value.strip() or None
            case ["call", name]:
                answer["calls"].append({"name": name, "arguments": {}})
            case ["arg" | "json" as kind, name] if answer["calls"]:
                answer["calls"][-1]["arguments"][name] = json.loads(value) if kind == "json" else value
            case ["end"]:
                pass
            case _:
                raise ValueError(f"'%%% {head}' is not a mark of an answer")
    if not answer["content"] and not answer["calls"]:
        raise ValueError("the answer is empty: write '%%% content' or '%%% call TOOL' first")
    return answer


def reply(folder: Path, writer: str, n: int, text: str) -> None:
    """Answer a request. Raises ValueError if it does not wait for this writer, or if the text is not an answer."""
    claim = folder / "claims" / str(n)
    if n not in waiting(folder) or not claim.exists() or claim.read_text(encoding="utf-8") != writer:
        raise ValueError(f"request {n} does not wait for an answer of {writer}")
    answer = answer_of(text)
    _, first = continued(folder, n, writer)
    (folder / "claims" / mark(answer["content"], answer["calls"])).write_text(f"{writer} {first}", encoding="utf-8")
    put(folder / "outbox" / f"{n}.json", answer)
    print("sent")


def wait(folder: Path, writer: str) -> None:
    """Print the next request of a writer, or that there is none yet."""
    end = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < end:
        if (folder / "stop").exists():
            print("THE CAMPAIGN IS OVER: stop here.")
            return
        if (n := take(folder, writer)) is not None:
            show(n, continued(folder, n, writer)[1], read(folder, n))
            return
        time.sleep(LOOK_SECONDS)
    print("nothing yet: call next again")


def show(n: int, first: int, body: Message) -> None:
    """The whole of a new conversation, with its tools; of one that continues, what came after the last answer."""
    messages = body["messages"]
    last = max((at for at, message in enumerate(messages) if message["role"] == "assistant"), default=-1)
    print(f"=== request {n} of conversation {first}: {len(messages)} messages")
    for tool in body.get("tools", []) if last < 0 else []:
        print("tool", json.dumps(tool["function"]))
    for message in messages[last + 1 :]:
        print(f"--- {message['role']}\n{message['content']}")


# --------------------------------------------------------------------------------------- files


def number(path: Path) -> int:
    """The number of a request's file."""
    return int(path.stem)


def read(folder: Path, n: int) -> Message:
    """What was asked."""
    body: Message = json.loads((folder / "inbox" / f"{n}.json").read_text(encoding="utf-8"))
    return body


def put(path: Path, value: Message) -> None:
    """Write a file so that nobody reads half of it."""
    half = path.with_suffix(".half")
    half.write_text(json.dumps(value), encoding="utf-8")
    half.rename(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("serve", "next", "reply"):
        command = commands.add_parser(name)
        command.add_argument("folder", type=Path)
        if name == "serve":
            command.add_argument("--port", type=int, default=9911)
        else:
            command.add_argument("writer")
        if name == "reply":
            command.add_argument("n", type=int)
    args = parser.parse_args()
    for part in ("inbox", "outbox", "claims"):
        (args.folder / part).mkdir(parents=True, exist_ok=True)
    if args.command == "serve":
        uvicorn.run(endpoint(args.folder), port=args.port, log_level="warning")
        return
    if args.command == "reply":
        try:
            reply(args.folder, args.writer, args.n, sys.stdin.read())
        except ValueError as error:
            sys.exit(f"nothing was sent: {error}")
    wait(args.folder, args.writer)


if __name__ == "__main__":
    main()
