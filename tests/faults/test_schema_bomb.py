"""Schemas that explode in the embedded model, sent from a real box: refused or survived, and nobody else pays."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from agent.base.types import BoxSpec, CallScope, Caps
from agent.config.models import ModelsConfig
from agent.models.gateway.record import MemoryRecord
from agent.models.gateway.server import GatewayServer
from agent.models.providers.local import EmbeddedProvider
from agent.trials.evaluator import Visit
from agent.trials.executor import Visited
from sandbox.docker_sandbox import DockerSandbox
from sandbox.image import ensure_image

pytestmark = [pytest.mark.slow, pytest.mark.docker]

PROGRAM = """
import json, sys, threading, urllib.request, urllib.error
def post(**more):
    body = {"model": "ratchet", "max_tokens": 4, "messages": [{"role": "user", "content": "Say ok."}], **more}
    request = urllib.request.Request(
        "http://127.0.0.1:8080/v1/chat/completions", json.dumps(body).encode(), {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=90) as reply:
            return reply.status
    except urllib.error.HTTPError as error:
        return error.code
    except OSError as error:
        return repr(error)
def schema(inner):
    return {"response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": inner}}}
def wide(count, k):
    return schema({"type": "object", "properties": {f"p{k}_{i}": {"type": "string"} for i in range(count)}})
deep = {"type": "string"}
for _ in range(14):
    deep = {"type": "object", "properties": {"a": deep, "b": {"type": "string", "maxLength": 2000}}}
bombs = [wide(3000, k) for k in range(3)] + [wide(200, k) for k in range(4)] + [schema(deep)]
bombs += [{"grammar": "root ::= " + " ".join('"a"?' for _ in range(count))} for count in (30, 3000)]
bombs += [schema({"type": "string", "pattern": "^(a{1,2000}){1,2000}$"}), schema({"type": "array", "maxItems": 10**9})]
said = {}
threads = [
    threading.Thread(target=lambda i=i, bomb=bomb: said.__setitem__(i, post(**bomb))) for i, bomb in enumerate(bombs)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
print(json.dumps([said[i] for i in sorted(said)]))
"""
PLAIN = PROGRAM.partition("def schema")[0] + "print(json.dumps([post()]))\n"


def kib(pid: int, name: str) -> int:
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith(f"{name}:"))


async def visit(sandbox: DockerSandbox, gateway: GatewayServer, trial: str, program: str, seconds: float) -> Visited:
    spec = BoxSpec(image=await asyncio.to_thread(ensure_image), gateway=True)
    run = Visit(sandbox, gateway, spec, ("python3", "/scaffold/run.py"))
    return await run(
        scope=CallScope(trial=trial, models={"ratchet": "solver"}, caps=Caps(calls=64, tokens=200_000)),
        scaffold={"run.py": program.encode()}, task={}, workspace={}, take=(), timeout=seconds, seed=1, env={},
    )  # fmt: skip


async def test_schemas_that_explode_are_their_boxs_own_doing(tmp_path: Path) -> None:
    models = ModelsConfig.model_validate({"solver": {"provider": "embedded", "slots": 2, "context_window": 512}})
    record = MemoryRecord()
    gateway = GatewayServer(models, record)
    async with gateway, DockerSandbox("bombs", "bombs", tmp_path / "b", ready=0) as sandbox:
        provider = gateway.upstreams("solver")[0].provider
        assert isinstance(provider, EmbeddedProvider)
        assert provider.pid is not None
        before = kib(provider.pid, "VmRSS")
        bombed, plain = await asyncio.gather(
            visit(sandbox, gateway, "bombs", PROGRAM, 120), visit(sandbox, gateway, "plain", PLAIN, 120)
        )
        assert json.loads(plain.run.output) == [200], "every box that shares the model with it gets an answer"
        said = json.loads(bombed.run.output)
        assert set(said) <= {200, 400}, said
        assert said.count(400) >= 5, "what is over the bounds is refused"
        later = await visit(sandbox, gateway, "later", PLAIN, 120)
        assert json.loads(later.run.output) == [200]
        assert kib(provider.pid, "VmRSS") < before + (1 << 20), "below its limit of 1 GiB for requests"
    assert any(one.trial == "bombs" and one.status == 400 for one in record.refusals)
