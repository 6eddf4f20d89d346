"""The embedded model's process: bounded in memory, and a request that kills it is to blame alone."""

from __future__ import annotations

import asyncio
import os
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from agent.config.models import ModelConfig
from agent.models.ports import BadCall, Question
from agent.models.providers.local import EmbeddedProvider

STUB = """
    import argparse, json, os, sys, threading, time
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *args): pass
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            said = body["messages"][-1]["content"]
            time.sleep(0.3)
            if said == "poison": os._exit(3)
            message = {"role": "assistant", "content": f"{os.getpid()} heard {said}"}
            answer = {"id": "1", "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}
            raw = json.dumps(answer).encode()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(json.dumps({"address": f"http://127.0.0.1:{server.server_port}"}), flush=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdin.read()
"""


@pytest.fixture
async def provider(tmp_path: Path) -> Any:
    program = tmp_path / "stub.py"
    program.write_text(textwrap.dedent(STUB))
    made = EmbeddedProvider(ModelConfig(provider="embedded", weights=program), (sys.executable, str(program)))
    try:
        yield made
    finally:
        await made.close()


def asked(text: str) -> Question:
    body = {"model": "m", "messages": [{"role": "user", "content": text}]}
    return Question(body=body, trial="t", answer_scope=None, key=text, k=0)


async def test_a_request_that_kills_the_process_is_to_blame_and_no_other(provider: EmbeddedProvider) -> None:
    texts = ["one", "poison", "two", "poison", "three"]
    answers = await asyncio.gather(*(provider.ask(asked(text)) for text in texts), return_exceptions=True)
    for text, answer in zip(texts, answers, strict=True):
        if text == "poison":
            assert isinstance(answer, BadCall)
            assert "brought the model's process down" in str(answer)
        else:
            assert isinstance(answer, dict)
            assert answer["choices"][0]["message"]["content"].endswith(f"heard {text}")
    assert (await provider.ask(asked("after")))["choices"]


async def test_a_call_that_is_given_up_in_the_queue_leaves_it_in_order(provider: EmbeddedProvider) -> None:
    first = asyncio.create_task(provider.ask(asked("poison")))
    second = asyncio.create_task(provider.ask(asked("poison")))
    await asyncio.sleep(0.8)
    second.cancel()
    first.cancel()
    await asyncio.wait([first, second])
    assert (await provider.ask(asked("after")))["choices"]


def _bounded(pid: int) -> bool:
    limits = Path(f"/proc/{pid}/limits").read_text()
    size = next(line for line in limits.splitlines() if line.startswith("Max data size")).split()[3]
    return size.isdigit() and Path(f"/proc/{pid}/oom_score_adj").read_text().strip() == "1000"


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def test_the_real_process_is_bounded_and_stops_when_its_caller_is_gone() -> None:
    pytest.importorskip("xllamacpp")
    provider = EmbeddedProvider(ModelConfig(provider="embedded", slots=1, context_window=2048))
    try:
        await provider.start()
        pid = provider.pid
        assert pid is not None
        assert _bounded(pid)
        long = asked("Tell a story.")
        body = {**long.body, "max_tokens": 1900, "ignore_eos": True}
        task = asyncio.create_task(provider.ask(Question(body=body, trial="t", answer_scope=None, key="k", k=0)))
        loaded = _cpu(pid)
        while _cpu(pid) < loaded + 0.5:  # noqa: ASYNC110 - the process says in no other way that it works
            await asyncio.sleep(0.05)
        task.cancel()
        before = _cpu(pid)
        while (now := _cpu(pid)) != before:
            assert now - loaded < 8, "the whole answer takes more processor time than that"
            before = now
            await asyncio.sleep(0.5)
    finally:
        await provider.close()
