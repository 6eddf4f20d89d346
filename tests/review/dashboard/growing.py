"""A campaign that runs in a process of its own while a dashboard looks on: `growing.py HOME NAME PAUSE TRIALS APPROVE`.

Real loop, gate, ledger, lock and git over the in-memory sandbox; its improver writes hostile texts into everything that
a model may write. PAUSE is the seconds that a trial takes.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

from agent.kernel.loop.campaign import Campaign
from agent.kernel.record.lock import held
from agent.live.status import publish
from sandbox.fake import FakeRun
from tests.kernel.lab import SETTINGS, Lab, skill_of, solve

HOSTILE = (
    "<script>document.title='owned'</script>",
    "<img src=x onerror=\"document.title='owned'\">",
    "<svg onload=document.title='owned'><section id=\"summary\">",
    "\x1b[31mred\x1b]0;owned\x07 \u202eolleh\u2066 \u200b",
    '"><a href="javascript:alert(1)">x</a>{{ 7*7 }}</section>',
)


def improver(scene: FakeRun) -> None:
    skill = min(skill_of(scene) + 15, 95)
    seed = int(scene.env["RATCHET_SEED"])
    text = f"{HOSTILE[seed % len(HOSTILE)]} {seed}"
    scene.workspace[SETTINGS] = f"SKILL = {skill}\n# {text!r}\n".encode()
    scene.workspace["prompts/solve.md"] = scene.scaffold["prompts/solve.md"] + f"{text}\n".encode()
    scene.workspace["PATCH.md"] = f"Try {text} once more\n\n{text}\n{'long ' * 2000}\n".encode()


async def grow(home: Path, name: str, pause: float, trials: int, approve: str) -> None:
    async def slowly(scene: FakeRun) -> str:
        await asyncio.sleep(pause)
        return f"{solve(scene)} {HOSTILE[0]}"

    # The lab keeps its ledger beside its runs folder; a dashboard, like `ratchet run`, expects both in one place.
    folder = home / "runs" / name
    (folder / "runs").mkdir(exist_ok=True)
    (folder / "runs" / name).symlink_to(folder)
    lab = Lab(folder, improver, trials=trials, name=name, solve=slowly, approve=approve, seconds=3600.0)
    async with lab.campaign() as campaign:
        _until_told(campaign)
        view = asyncio.create_task(publish(campaign, lab.folder))
        try:
            await campaign.run()
        finally:
            view.cancel()
            await asyncio.gather(view, return_exceptions=True)


def _until_told(campaign: Campaign) -> None:
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, campaign.stop, "stopped on request")


if __name__ == "__main__":
    where, called, seconds, most, decided = Path(sys.argv[1]), *sys.argv[2:6]
    with held(where / "runs" / called):
        asyncio.run(grow(where, called, float(seconds), int(most), decided))
