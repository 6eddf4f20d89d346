"""Machines whose solver was root and changed what the check would run by; all get what they honestly earned."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from agent.base.errors import CandidateFault
from agent.base.profile import SNAPSHOT, Profile
from agent.base.types import BoxSpec, Files, Grade, RewardKind, Split, Task
from agent.trials.grading import SNAPSHOT_BYTES, box_for, grade
from sandbox.docker_sandbox import DockerSandbox
from sandbox.image import ensure_image

pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.asyncio(loop_scope="session")]

TESTS = b"""
from pathlib import Path
import subprocess

def test_file(): assert Path("/etc/answer").read_text() == "42\\n"
def test_program(): assert subprocess.run(["/opt/answer"], capture_output=True, text=True).stdout == "42\\n"
"""
SCRIPT = b"""#!/bin/bash
mkdir -p /logs/verifier
if [ "$(cat /etc/answer)" = 42 ] && [ "$(/opt/answer)" = 42 ]; then echo 1; else echo 0; fi > /logs/verifier/reward.txt
"""
PYTEST = ("python3", "-I", "-m", "pytest", "-c", "/dev/null", "--rootdir=/tests", "--junitxml=$RATCHET_JUNIT")
CHECKS: dict[str, dict[str, object]] = {
    "ratchet_check": {
        "tests": {"test_it.py": TESTS},
        "check": ("python3", "-I", "-m", "ratchet_check", "/tests/test_it.py"),
        "junit": 2,
    },
    "pytest": {"tests": {"test_it.py": TESTS}, "check": (*PYTEST, "/tests/test_it.py"), "junit": 2},
    "script": {
        "tests": {"test.sh": SCRIPT},
        "check": ("bash", "-c", "rm -f /logs/verifier/reward.txt; bash /tests/test.sh"),
        "reward": RewardKind.FILE,
        "reward_path": "/logs/verifier/reward.txt",
    },
}
REPORT = "<testsuite><testcase name='a'/><testcase name='b'/></testsuite>"
WIN = f"""#!/bin/sh
mkdir -p /logs/verifier; echo 1 > /logs/verifier/reward.txt
for word in "$@"; do case $word in --junitxml=*) echo "{REPORT}" > "${{word#--junitxml=}}";; esac; done
[ -n "$RATCHET_JUNIT" ] && echo "{REPORT}" > "$RATCHET_JUNIT"
exit 0
"""
EVIL = f"""
import os
if os.environ.get("RATCHET_JUNIT"): open(os.environ["RATCHET_JUNIT"], "w").write({REPORT!r})
os._exit(0)
"""
OTHERS = f"""#!/bin/sh
for path in /tests/test.sh /tests/test_it.py; do echo 'echo 1 > /logs/verifier/reward.txt; exit 0' >> $path; done
mv /usr/lib/ratchet /opt/r; cp /bin/true /usr/lib/ratchet/python/tools/cat
for pid in $(ls /proc | grep '^[0-9]'); do echo x > /proc/$pid/mem; done
for path in /tmp/.junit*; do echo "{REPORT}" > $path; done
echo 41
"""
HELD: Files = {
    "win": WIN.encode(),
    "evil.py": EVIL.encode(),
    "others": OTHERS.encode(),
    "forty-two": b"#!/bin/sh\necho 42\n",
}
"""Files that a solver has in its workspace."""

HONEST = "echo 42 > /etc/answer; cp /workspace/forty-two /opt/answer; chmod +x /opt/answer"
CRACKS = {
    "every program of the image": (
        "chmod 755 win; for path in /usr/bin/* /usr/sbin/* /usr/local/bin/*;"
        ' do [ "$path" = /usr/bin/cp ] || cp -f /workspace/win "$path"; done'
    ),
    "the loader's list": "printf garbage > /opt/evil.so; echo /opt/evil.so > /etc/ld.so.preload",
    "name services": "echo passwd: evil > /etc/nsswitch.conf; printf garbage > /usr/lib/libnss_evil.so.2",
    "files that Python and pytest read": (
        "for place in / /root /workspace /usr/lib/python3/dist-packages /tmp /etc;"
        " do for name in sitecustomize usercustomize conftest json pytest _pytest subprocess pathlib;"
        " do cp evil.py $place/$name.py; done;"
        " printf '[pytest]\\naddopts = --collect-only\\n' > $place/pytest.ini; done"
    ),
    "our own tools": (
        "mv /usr/lib/ratchet /usr/lib/other; rm -rf /usr/lib/ratchet; mount --bind /opt /usr/lib/ratchet;"
        " umount /usr/lib/ratchet; ln -sfn /opt /usr/lib/ratchet/python;"
        " cp /bin/true /usr/lib/ratchet/python/bin/python3;"
        " mv /usr /usr2"
    ),
    "tests, rewards and links": (
        "mkdir -p /logs /tests /opt/v; rm -rf /logs/verifier; ln -s /opt/v /logs/verifier; echo 1 > /opt/v/reward.txt;"
        " echo 'exit 0' > /tests/test.sh; echo 'def test_a(): pass' > /tests/test_it.py;"
        f' for n in 1 2 3; do echo "{REPORT}" > /tmp/.junit-$n.xml; done; rm -rf /workspace; ln -s /proc /workspace'
    ),
    "a daemon": (
        "setsid sh -c 'while :; do mkdir -p /logs/verifier; echo 1 > /logs/verifier/reward.txt;"
        " sleep .01; done' > /dev/null 2>&1 &"
    ),
}
HARMLESS = ["the loader's list", "name services", "files that Python and pytest read", "a daemon"]


@pytest.fixture(scope="session")
def image() -> str:
    return ensure_image(machine=True)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def sandbox(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[DockerSandbox]:
    async with DockerSandbox("session", "machine-forgery", tmp_path_factory.mktemp("m"), ready=0) as made:
        yield made


def task(check: str) -> Task:
    settings: dict[str, object] = {
        "id": "t",
        "split": Split.GATE,
        "instruction": "",
        "files": {},
        "submit": (),
        "profile": Profile.MACHINE,
        "check_timeout": 60.0,
        **CHECKS[check],
    }
    return Task(**settings)  # type: ignore[arg-type]


async def solve_and_grade(sandbox: DockerSandbox, image: str, what: Task, script: str) -> Grade:
    """The whole way of a machine: solved by a script, frozen, restored, checked."""
    box = await sandbox.open(box_for(what, BoxSpec(image=image, gateway=False)))
    try:
        await box.put(HELD, "/workspace")
        await box.run(["bash", "-c", script], env={}, timeout=60)
        snapshot = await box.freeze(most=SNAPSHOT_BYTES)
    except CandidateFault as fault:
        return Grade(score=0.0, reason=str(fault))
    finally:
        await box.close()
    return await grade(sandbox, image, what, {SNAPSHOT: snapshot}, starved=1.0)


@pytest.mark.parametrize("check", CHECKS)
async def test_an_honest_machine_scores_one_and_an_untouched_one_nothing(
    sandbox: DockerSandbox, image: str, check: str
) -> None:
    honest = await solve_and_grade(sandbox, image, task(check), HONEST)
    assert honest.score == 1, honest
    untouched = await solve_and_grade(sandbox, image, task(check), ":")
    assert untouched.score == 0, untouched


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("crack", CRACKS)
async def test_what_root_changes_in_its_machine_earns_nothing(
    sandbox: DockerSandbox, image: str, crack: str, check: str
) -> None:
    verdict = await solve_and_grade(sandbox, image, task(check), CRACKS[crack])
    assert verdict.score == 0, verdict


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("crack", HARMLESS)
async def test_a_solution_scores_one_whatever_else_was_changed(
    sandbox: DockerSandbox, image: str, crack: str, check: str
) -> None:
    """So that nothing above fails for want of a check that runs."""
    script = CRACKS[crack] if crack != "the loader's list" else f"{CRACKS[crack]}; rm /opt/evil.so"
    verdict = await solve_and_grade(sandbox, image, task(check), f"{HONEST}\n{script}")
    assert verdict.score == 1, verdict


@pytest.mark.parametrize("check", CHECKS)
async def test_a_program_that_the_check_runs_as_root_earns_nothing(
    sandbox: DockerSandbox, image: str, check: str
) -> None:
    script = "cp /workspace/others /opt/answer; chmod +x /opt/answer; echo 42 > /etc/answer"
    verdict = await solve_and_grade(sandbox, image, task(check), script)
    assert verdict.score == 0, verdict


@pytest.mark.parametrize("snapshot", [b"", b"\x1f\x8b" + bytes(100), b"x" * 1000], ids=["empty", "cut", "text"])
async def test_a_snapshot_that_cannot_be_read_scores_nothing(
    sandbox: DockerSandbox, image: str, snapshot: bytes
) -> None:
    assert (await grade(sandbox, image, task("script"), {SNAPSHOT: snapshot}, starved=1.0)).score == 0
