"""Machines: boxes whose whole root can be changed, frozen, and restored. Attacks on them are in the other lists."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from agent.base.errors import CandidateFault, UserError
from agent.base.types import BoxSpec
from sandbox.box import DockerBox
from sandbox.containers import Containers
from sandbox.docker_sandbox import DockerSandbox
from sandbox.limits import SECCOMP, SECCOMP_MACHINE, TO_BUILD
from sandbox.privileges import REFUSED
from sandbox.users import MACHINES, MAPPED, OWN

MOST = 60 << 20

CHANGE = """
set -e
rm /usr/bin/diff; rm -rf /usr/share/bash-completion /var/log; mkdir /var/log; echo new > /var/log/new
ln -s /etc/passwd /root/link; echo 'joe:x:1000:1000::/home/joe:/bin/sh' >> /etc/passwd; mkfifo /root/pipe
mv /usr/share/perl /usr/share/perl-moved; mkdir -p /srv/sub; chmod 700 /srv/sub; echo x > /srv/sub/a
ln /srv/sub/a /srv/hard; chown 1000:1000 /srv/sub/a; chmod 4755 /srv/sub/a; mkdir .git; echo ref > .git/HEAD
touch -d 2001-01-01 "/srv/name with space"; cp -p /etc/hosts /etc/hosts.same; truncate -s 0 /etc/debian_version
setsid sleep 1000 &
"""
LOOK = """
ls -d /usr/bin/diff /usr/share/bash-completion /usr/share/perl 2>&1 | grep -c 'No such file'
ls /var/log; cat /var/log/new; readlink /root/link; tail -n 1 /etc/passwd; test -p /root/pipe && echo pipe
test -d /usr/share/perl-moved && ls /usr/share/perl-moved | wc -l; stat -c '%a %u %g %h' /srv/sub /srv/sub/a /srv/hard
cat .git/HEAD; stat -c '%y %n' '/srv/name with space' | cut -c1-10; wc -c < /etc/debian_version
"""


@pytest.fixture(params=["docker_sandbox", pytest.param("streamed_sandbox", marks=pytest.mark.slow)])
def any_sandbox(request: pytest.FixtureRequest) -> DockerSandbox:
    """Both ways for files and snapshots; the second of them slow."""
    sandbox: DockerSandbox = request.getfixturevalue(request.param)
    return sandbox


@asynccontextmanager
async def machine(sandbox: DockerSandbox, image: str, **changes: int) -> AsyncIterator[DockerBox]:
    opened = await sandbox.open(BoxSpec(image=image, gateway=False, machine=True, **changes))  # type: ignore[arg-type]
    try:
        yield opened
    finally:
        await opened.close()


async def sh(box: DockerBox, script: str) -> str:
    result = await box.run(["bash", "-c", script], env={}, timeout=60)
    return result.output.decode()


@pytest.mark.docker
@pytest.mark.asyncio(loop_scope="session")
async def test_what_a_machine_changed_is_the_same_in_another(any_sandbox: DockerSandbox, machine_image: str) -> None:
    async with machine(any_sandbox, machine_image) as first:
        assert await sh(first, CHANGE) == ""
        before, snapshot = await sh(first, LOOK), await first.freeze(most=MOST)
    async with machine(any_sandbox, machine_image) as second:
        await second.thaw(snapshot)
        assert await sh(second, LOOK) == before
        again = await second.freeze(most=MOST)
    with tarfile.open(fileobj=io.BytesIO(snapshot)) as one, tarfile.open(fileobj=io.BytesIO(again)) as other:
        assert sorted(one.getnames()) == sorted(other.getnames())
        assert "root/etc/hosts.same" in one.getnames()
        assert "root/etc/hosts" not in one.getnames()


@pytest.mark.docker
@pytest.mark.slow
@pytest.mark.asyncio(loop_scope="session")
async def test_a_machine_that_was_left_alone_has_changed_nothing(
    docker_sandbox: DockerSandbox, machine_image: str
) -> None:
    async with machine(docker_sandbox, machine_image) as box:
        snapshot = await box.freeze(most=MOST)
    with tarfile.open(fileobj=io.BytesIO(snapshot)) as tar:
        assert tar.getnames() == ["removed"]
        assert tar.getmember("removed").size == 0


@pytest.mark.docker
@pytest.mark.asyncio(loop_scope="session")
async def test_files_go_in_and_out_of_a_machine_as_of_any_box(any_sandbox: DockerSandbox, machine_image: str) -> None:
    async with machine(any_sandbox, machine_image) as box:
        await box.put({"a/b.txt": b"B"}, "/workspace")
        await box.put({"s.py": b"S"}, "/scaffold")
        await box.put({"instruction.md": b"I"}, "/task")
        said = await sh(box, "cat a/b.txt /scaffold/s.py /task/instruction.md; pwd; echo $HOME; id -u")
        assert said == "BSI/workspace\n/root\n0\n"
        assert "Read-only" in await sh(box, "rm /scaffold/s.py") or "denied" in await sh(box, "rm /scaffold/s.py")
        assert await box.take(["**"]) == {"a/b.txt": b"B"}
        assert await box.names() == ("a/b.txt",)
        await sh(box, "mkdir -p /logs && echo 1 > /logs/reward.txt")
        assert await box.take(["reward.txt"], root="/logs") == {"reward.txt": b"1\n"}
        assert (await box.run(["no-such-program"], env={}, timeout=30)).exit_code == 127


@pytest.mark.docker
@pytest.mark.slow
@pytest.mark.asyncio(loop_scope="session")
async def test_hidden_tests_come_in_over_what_is_there_and_stay_if_they_are_sealed(
    docker_sandbox: DockerSandbox, machine_image: str
) -> None:
    async with machine(docker_sandbox, machine_image) as box:
        await sh(box, "echo mine > /tests/test.sh")
        await box.hide({"test.sh": b"hidden\n"}, sealed=True)
        await sh(box, "echo mine > /tests/test.sh; rm -f /tests/test.sh; umount /tests; mv /tests /elsewhere")
        assert await sh(box, "cat /tests/test.sh") == "hidden\n"
    async with machine(docker_sandbox, machine_image) as box:
        await box.hide({"test.py": b"hidden\n"}, sealed=False)
        assert await sh(box, "cat /tests/test.py; rm /tests/test.py; ls /tests") == "hidden\n"


@pytest.mark.docker
@pytest.mark.slow
@pytest.mark.asyncio(loop_scope="session")
async def test_a_machine_that_changed_too_much_is_the_candidates_fault(
    docker_sandbox: DockerSandbox, machine_image: str
) -> None:
    async with machine(docker_sandbox, machine_image) as box:
        await sh(box, "head -c 20000000 /dev/urandom > /srv/noise; truncate -s 5G /srv/sparse")
        with pytest.raises(CandidateFault, match="holds more than 2048 MiB"):
            await box.freeze(most=MOST)
        await sh(box, "rm /srv/sparse")
        with pytest.raises(CandidateFault, match="takes more than 8 MiB"):
            await box.freeze(most=8 << 20)
        assert await sh(box, "echo on") == "on\n"


@pytest.mark.docker
@pytest.mark.slow
@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.parametrize(
    ("member", "fault"),
    [
        ("root/proc/self/mem", "another file system"),
        ("root/usr/lib/ratchet/python/bin/python3", "another file system"),
        ("root/tests", "not a path of the machine"),
        ("root/../etc/x", "not a path of the machine"),
        ("root/etc/../../x", "not a path of the machine"),
        ("root//etc/x", "not a path of the machine"),
        ("other/x", "not a member of a snapshot"),
        ("root/bin/x", "Not a directory"),  # a link: it is not followed
    ],
)
async def test_a_hostile_snapshot_is_refused(
    docker_sandbox: DockerSandbox, machine_image: str, member: str, fault: str
) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        info = tarfile.TarInfo(member)
        info.size = 1
        tar.addfile(info, io.BytesIO(b"x"))
    async with machine(docker_sandbox, machine_image) as box:
        with pytest.raises(CandidateFault, match=fault):
            await box.thaw(out.getvalue())
        assert await sh(box, "echo on") == "on\n"


def test_an_engine_without_ids_for_each_box_refuses_a_machine_by_name() -> None:
    async def thread(*_: object) -> None: ...

    remapped, usual = Containers("r", "t", None, thread), Containers("r", "t", None, thread)
    remapped.users = MAPPED
    with pytest.raises(UserError, match="65,536 user ids"):
        remapped.machine_ids()
    with pytest.raises(UserError, match=r"not offered with boxes\.runtime: runsc"):
        Containers("r", "t", "runsc", thread).machine_ids()
    assert usual.machine_ids() == MACHINES


def test_the_ids_of_machines_touch_no_others() -> None:
    assert OWN.stop <= MACHINES.start
    assert MACHINES.step > 65_536
    assert MACHINES[-1] + MACHINES.step <= 1 << 31


def test_the_list_of_system_calls_of_a_machine_adds_only_what_the_runner_refuses_again() -> None:
    strict, wider = (json.loads(path.read_text(encoding="utf-8")) for path in (SECCOMP, SECCOMP_MACHINE))
    added = [rule for rule in wider["syscalls"] if rule not in strict["syscalls"]]
    assert [rule for rule in wider["syscalls"] if rule not in added] == strict["syscalls"]
    assert {key: value for key, value in wider.items() if key != "syscalls"} == {
        key: value for key, value in strict.items() if key != "syscalls"
    }
    ((names),) = [rule["names"] for rule in added]
    assert sorted(names) == ["mount", "pivot_root", "setns", "umount2", "unshare"]
    assert all(len(numbers) == len(names) for numbers in REFUSED.values())
    assert "SYS_ADMIN" not in TO_BUILD
