"""What a box sees below /scaffold, read from inside: an image can hide it."""

from __future__ import annotations

import json
from collections.abc import Mapping

from agent.base.errors import from_candidate
from agent.base.types import BoxSpec, Files, Sandbox
from sandbox.install import INTERPRETER

SECONDS = 60.0
_LOOK = """
import hashlib, json, os
found = {}
for folder, _, names in os.walk("/scaffold/"):
    for path in (os.path.join(folder, name) for name in names):
        with open(path, "rb") as file:
            found[path[len("/scaffold/"):]] = hashlib.sha256(file.read()).hexdigest()
print(json.dumps(found))
"""
LOOK = (INTERPRETER, "-I", "-c", _LOOK)


async def seen(sandbox: Sandbox, spec: BoxSpec, scaffold: Files) -> Mapping[str, str]:
    """Path -> SHA-256 of each file below /scaffold in a box that was given `scaffold`.

    Raises:
        CandidateFault: files cannot be read there.
        InfrastructureError: the box failed.
    """
    box = await sandbox.open(spec)
    try:
        await box.put(scaffold, "/scaffold")
        run = await box.run(LOOK, env={}, timeout=SECONDS)
    finally:
        await box.close()
    with from_candidate("the list of files below /scaffold"):
        return {str(path): str(digest) for path, digest in json.loads(run.output).items()}
