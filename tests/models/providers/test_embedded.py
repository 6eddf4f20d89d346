"""The real small model: llama.cpp over HTTP in a child process. A few tiny calls."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from typing import Any

import openai
import pytest

pytest.importorskip("xllamacpp")

from agent.models.providers import weights

ASK = [{"role": "user", "content": "Say hi."}]
SCHEMA = {
    "type": "object",
    "properties": {"ok": {"type": "boolean"}},
    "required": ["ok"],
    "additionalProperties": False,
}


def alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as stat:  # noqa: PTH123
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def test_the_embedded_model_answers_keeps_a_seed_a_schema_and_its_window(run_gateway: Any) -> None:
    models = {"solver": {"provider": "embedded", "slots": 2, "context_window": 512}}
    async with run_gateway(models) as bench:
        session, path = await bench.session()
        client = bench.openai(path)
        assert (await client.models.list()).data[0].context_window == 512
        first, second = [
            await client.chat.completions.create(model="small", messages=ASK, max_tokens=6, seed=3, temperature=1)
            for _ in range(2)
        ]
        assert first.choices[0].message.content == second.choices[0].message.content
        assert first.usage.completion_tokens <= 6
        assert "SmolLM2" in first.model
        wanted = {"type": "json_schema", "json_schema": {"name": "ok", "schema": SCHEMA}}
        shaped = await client.chat.completions.create(
            model="small", messages=ASK, max_tokens=40, response_format=wanted, temperature=0
        )
        assert isinstance(json.loads(shaped.choices[0].message.content)["ok"], bool)
        long = [{"role": "user", "content": "word " * 600}]
        with pytest.raises(openai.BadRequestError, match="context"):
            await client.chat.completions.create(model="small", messages=long, max_tokens=5)
        # A request that kills the server process costs no trial: the next attempt starts another one.
        provider = bench.gateway.upstreams("solver")[0].provider
        killed = provider.pid
        os.kill(killed, 9)
        await client.chat.completions.create(model="small", messages=ASK, max_tokens=2)
        assert provider.pid != killed
        last = provider.pid
    assert session.fault is None
    assert not alive(last)


def test_the_server_process_does_not_outlive_a_killed_parent() -> None:
    child = (
        "import subprocess, sys, time\n"
        "p = subprocess.Popen([sys.executable, '-m', 'agent.models.providers.embedded', '--weights', sys.argv[1],"
        " '--slots', '1', '--context', '256'], stdin=subprocess.PIPE, stdout=subprocess.PIPE)\n"
        "print(p.pid, flush=True)\n"
        "time.sleep(600)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", child, str(weights.packaged())], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    orphan = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    parent.stdout.close()
    end = time.monotonic() + 60
    while alive(orphan) and time.monotonic() < end:
        time.sleep(0.05)
    assert not alive(orphan)


async def test_weights_that_do_not_load_are_said(run_gateway: Any, tmp_path: Any) -> None:
    bad = tmp_path / "bad.gguf"
    bad.write_bytes(b"no weights")
    with pytest.raises(Exception, match="did not start"):
        async with asyncio.timeout(60), run_gateway({"solver": {"provider": "embedded", "weights": str(bad)}}):
            pass
