"""The embedded model's server process: llama.cpp over loopback HTTP, gone as soon as its parent is.

Run as `python -m agent.models.providers.embedded`; prints `{"address": ...}` on one line when it can answer.
The key that it asks for comes in the environment, since arguments can be read by every user.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import resource
import sys
import threading
from pathlib import Path

from agent.base.machine import cores, has_proc

KEY_VARIABLE = "RATCHET_EMBEDDED_KEY"
MODEL_NAME = "SmolLM2-135M-Instruct"
THREAD_WAIT = {"GOMP_SPINCOUNT": "1000"}
"""Environment of the process: threads that spin for milliseconds hold each other up on busy cores (docs/models.md)."""


HEADROOM = 1 << 30
"""Bytes that requests may take beyond what the loaded model takes; a grammar that wants more ends the process."""
_FIRST_TO_DIE = "1000"


def default_threads() -> int:
    """Every core that this process may use, up to eight: a small model gains nothing beyond."""
    return min(8, cores())


def _leave_with_parent() -> None:
    """Standard input closes when the parent ends, however it ends; llama.cpp's threads know no other way out."""
    sys.stdin.buffer.read()
    os._exit(0)


def _die_first() -> None:
    """When the machine runs out of memory, this process goes before anything that would cost a trial."""
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(_FIRST_TO_DIE)


def _limit_memory() -> None:
    """Bound what requests may make this process allocate; called when the model is loaded."""
    if not has_proc():  # macOS tells neither what is taken nor keeps such a limit
        return
    status = Path("/proc/self/status").read_text()
    data = next(int(line.split()[1]) << 10 for line in status.splitlines() if line.startswith("VmData:"))
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    limit = data + HEADROOM if hard == resource.RLIM_INFINITY else min(data + HEADROOM, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m agent.models.providers.embedded")
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--slots", type=int, default=8)
    parser.add_argument("--context", type=int, default=2048, help="tokens per slot")
    parser.add_argument("--threads", type=int, default=default_threads())
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    """Serve until standard input closes."""
    args = _arguments(argv)
    watcher = threading.Thread(target=_leave_with_parent, daemon=True)
    watcher.start()
    _die_first()
    import xllamacpp  # noqa: PLC0415 - after the watcher: loading takes a while

    params = xllamacpp.CommonParams()
    params.model.path = str(args.weights)
    params.model_alias = {MODEL_NAME}
    params.n_parallel, params.n_ctx = args.slots, args.slots * args.context
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = args.threads
    # Saved prompts would grow to gigabytes over a night; what the slots hold is enough.
    params.cache_ram_mib = 0
    params.hostnames, params.port = ["127.0.0.1"], args.port
    params.api_keys = [os.environ[KEY_VARIABLE]] if os.environ.get(KEY_VARIABLE) else []
    params.verbosity, params.warmup, params.ui = 0, False, False
    server = xllamacpp.Server(params)
    _limit_memory()
    sys.stdout.write(json.dumps({"address": server.listening_address}) + "\n")
    sys.stdout.flush()
    watcher.join()


if __name__ == "__main__":
    main()
