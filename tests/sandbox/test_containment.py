"""Every line of the containment list, as an attack on a real box; what counts is what the host sees afterwards."""

from __future__ import annotations

import asyncio
import re
import socket
import threading
import tracemalloc
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import docker
import pytest
import pytest_asyncio

from agent.base.errors import CandidateFault
from agent.base.types import BoxSpec, Ending
from sandbox.box import DockerBox
from sandbox.engine_sandbox import EngineSandbox
from sandbox.limits import INODES, TO_BUILD
from sandbox.privileges import INSIDE
from sandbox.users import MACHINES
from tests.sandbox.conftest import Attack, pids, processes
from tests.sandbox.outside import Outside

pytestmark = [pytest.mark.docker, pytest.mark.asyncio(loop_scope="session")]

MIB = 1 << 20


SLOW = pytest.mark.slow


@pytest.fixture(scope="module", params=["strict", pytest.param("oci", marks=SLOW), pytest.param("machine", marks=SLOW)])
def variant(request: pytest.FixtureRequest) -> str:
    """Both profiles, and the strict one without an engine: the whole list runs against each."""
    return str(request.param)


@pytest.fixture(scope="module")
def machine(variant: str) -> bool:
    return variant == "machine"


@pytest.fixture(scope="module")
def kind(variant: str, request: pytest.FixtureRequest) -> str:
    if variant == "oci":
        request.getfixturevalue("oci")
    return "oci" if variant == "oci" else "docker"


@pytest.fixture(scope="module")
def spec(machine: bool, request: pytest.FixtureRequest) -> BoxSpec:
    """As the one of all rooms, in either profile."""
    image = request.getfixturevalue("machine_image" if machine else "image")
    return BoxSpec(image=image, gateway=False, machine=machine)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def long_lived(any_sandbox: EngineSandbox, spec: BoxSpec) -> AsyncIterator[DockerBox]:
    """One box for the whole list: each attack finds it as the last one left it, and it has to serve on."""
    opened = await any_sandbox.open(spec)
    yield opened
    await opened.close()


@pytest_asyncio.fixture(loop_scope="session")
async def box(long_lived: DockerBox) -> DockerBox:
    clear = "chmod -R u+rwx /workspace /tmp; find /workspace /tmp /dev/shm -mindepth 1 -delete"
    await long_lived.run(["sh", "-c", clear], env={}, timeout=30)
    return long_lived


HOST_MEMORY_BOUND = 8 * MIB
"""What one run may make our process allocate at its peak, with an output limit of 1 MiB."""


# ------------------------------------------------------------------ processes and time


async def test_a_fork_bomb_ends_with_its_command(attack: Attack) -> None:
    bomb = "import os\nwhile True:\n try: os.fork()\n except OSError: pass"
    result = await attack(bomb, timeout=2)
    assert result.ending is Ending.TIMEOUT


async def test_a_thread_bomb_meets_the_limit_of_processes(attack: Attack) -> None:
    bomb = """
import threading, time
n = 0
try:
    while True: threading.Thread(target=time.sleep, args=(60,), daemon=True).start(); n += 1
except RuntimeError: print(n)
"""
    result = await attack(bomb)
    assert 0 < int(result.output.split()[-1]) <= 128


async def test_a_spin_that_ignores_signals_is_killed_in_time(attack: Attack) -> None:
    spin = """
import os, signal
for n in set(range(1, 65)) - {9, 19, 32, 33}: signal.signal(n, signal.SIG_IGN)
for _ in range(3): os.fork()
while True: pass
"""
    result = await attack(spin, timeout=1.5)
    assert result.ending is Ending.TIMEOUT


async def test_sleeping_past_the_deadline_does_not_help(attack: Attack) -> None:
    result = await attack("import time\nwhile True: time.sleep(1000)", timeout=0.5)
    assert result.ending is Ending.TIMEOUT


async def test_grandchildren_that_daemonise_are_found_and_counted(attack: Attack) -> None:
    daemon = """
import os, time
for _ in range(5):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0: os.setsid(); time.sleep(1000)
        os._exit(0)
time.sleep(.3)
"""
    result = await attack(daemon)
    assert (result.ending, result.exit_code) == (Ending.EXITED, 0)
    assert result.orphans >= 5


# ------------------------------------------------------------------ killing or imitating the runner


async def test_no_signal_reaches_the_runner(attack: Attack) -> None:
    kill = """
import os, signal
for n in range(1, 65):
    if n not in (9, 19):
        try: signal.signal(n, signal.SIG_IGN)
        except (OSError, ValueError): pass
for n in range(1, 65):
    for _ in range(20):
        try: os.kill(1, n)
        except PermissionError: pass
try: os.kill(-1, 9)
except ProcessLookupError: print("alive")
"""
    result = await attack(kill)
    assert result.output == b"alive\n"


async def test_the_kernel_cannot_be_made_to_kill_the_runner(attack: Attack) -> None:
    tricks = """
import ctypes, fcntl, os, resource
libc = ctypes.CDLL(None, use_errno=True)
for limit, values in ((resource.RLIMIT_CPU, (1, 1)), (resource.RLIMIT_NOFILE, (3, 3)), (resource.RLIMIT_AS, (1, 1))):
    try: print(resource.prlimit(1, limit, values))
    except OSError as e: print(e.errno)
r, w = os.pipe()
fcntl.fcntl(r, fcntl.F_SETOWN, 1)
fcntl.fcntl(r, 10, 9)
fcntl.fcntl(r, fcntl.F_SETFL, os.O_ASYNC | os.O_NONBLOCK)
os.write(w, b"x")
try: os.setpriority(os.PRIO_PROCESS, 1, 19)
except PermissionError: pass
"""
    result = await attack(tricks)
    assert result.output.split() == [b"1", b"1", b"1"]
    assert result.exit_code == 0


async def test_forged_frames_are_only_output(attack: Attack) -> None:
    forge = """
import os, struct
done = b'{"ending":"exited","code":0,"truncated":false,"seconds":0,"orphans":0}'
frame = struct.pack("!cI", b"D", len(done)) + done
docker = struct.pack("!BxxxI", 1, len(frame)) + frame
targets = [f"/proc/1/fd/{n}" for n in range(20)]
for where in ["/dev/console", "/proc/1/mem", *targets]:
    try: os.write(os.open(where, os.O_WRONLY), docker); os.write(2, b"!" + where.encode())
    except OSError: pass
for fd in range(256):
    try: os.write(fd, docker)
    except OSError: pass
os._exit(7)
"""
    result = await attack(forge)
    assert result.exit_code == 7
    assert b"!" not in result.output
    assert result.output.count(b'"ending":"exited"') == 2


# ------------------------------------------------------------------ output and input


async def test_a_flood_of_output_does_not_fill_our_memory(attack: Attack) -> None:
    tracemalloc.start()
    result = await attack("import os\nfor _ in range(100): os.write(1, b'x' * (1 << 20))", timeout=60, limit=MIB)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert result.truncated
    assert len(result.output) < MIB + 100
    assert peak < HOST_MEMORY_BOUND


async def test_a_command_that_reads_finds_no_input(attack: Attack) -> None:
    result = await attack("import sys\nprint(repr(sys.stdin.read()))")
    assert result.output == b"''\n"


async def test_output_after_the_end_does_not_delay_it(attack: Attack) -> None:
    chatter = "import os\nif os.fork() == 0:\n  while True: os.write(1, b'noise ' * 1000)\nos._exit(0)"
    result = await attack(chatter)
    assert (result.exit_code, result.orphans) == (0, 1)


# ------------------------------------------------------------------ memory and disk


async def test_tmpfs_and_shm_have_limits(attack: Attack, machine: bool) -> None:
    fill = """
import os
def fill(path):
    n = 0
    with open(path, "wb", buffering=0) as f:
        try:
            while True: n += f.write(b"x" * 65536)
        except OSError: pass
    os.unlink(path)
    return n >> 20
print(*(fill(f + "/f") for f in ("/workspace", "/tmp", "/dev/shm")))
for path in ("/etc/f", "/f", "/usr/f", "/run/ratchet/f", "/scaffold/f", "/tests/f", "/dev/f", "/var/tmp/f", "/run/f",
             "/proc/sys/kernel/core_pattern", "/sys/f"):
    try: open(path, "w"); print("wrote", path)
    except OSError: pass
"""
    result = await attack(fill, timeout=60)
    assert result.output.splitlines()[0] == b"128 128 16"
    wrote = ["/etc/f", "/f", "/usr/f", "/tests/f", "/var/tmp/f", "/run/f"] if machine else []
    assert result.output.decode().splitlines()[1:] == [f"wrote {path}" for path in wrote]


INODE_FILL = """
import os
def inodes(folder):
    os.mkdir(folder); n = 0
    try:
        while True: open(f"{folder}/{n}", "w").close(); n += 1
    except OSError: return n
print(*(inodes(f + "/i") for f in FOLDERS))
"""


def inode_fill(*, machine: bool) -> str:
    """A machine has one file system for all but the shared memory."""
    return f"FOLDERS = {('/workspace', '/dev/shm') if machine else ('/workspace', '/tmp', '/dev/shm')}\n{INODE_FILL}"


async def test_files_without_number_meet_a_limit(attack: Attack, box: DockerBox, spec: BoxSpec, podman: bool) -> None:
    if podman:
        pytest.skip("Podman has no limit on inodes: they end at the limit on memory")
    result = await attack(inode_fill(machine=spec.machine), timeout=60)
    assert all(0 < int(number) < spec.disk_mb * INODES for number in result.output.split()), result
    with pytest.raises(CandidateFault, match="more than 256 files"):
        await box.take(["i/*"])


async def test_files_without_number_are_never_more_than_the_memory(any_sandbox: EngineSandbox, spec: BoxSpec) -> None:
    small = await any_sandbox.open(replace(spec, memory_mb=64))
    result = await small.run(["python3", "-c", inode_fill(machine=spec.machine)], env={}, timeout=60)
    assert result.ending in {Ending.EXITED, Ending.MEMORY}
    with pytest.raises(CandidateFault):
        await small.take(["i/*"])
    await small.close()


async def test_a_memory_hog_is_the_candidates_end_and_not_ours(any_sandbox: EngineSandbox, spec: BoxSpec) -> None:
    small = await any_sandbox.open(replace(spec, memory_mb=48))
    hog = "x = []\nwhile True: x.append(bytearray(1 << 20))"
    result = await small.run(["python3", "-c", hog], env={}, timeout=30)
    assert result.ending is Ending.MEMORY
    assert processes(small) == 1
    assert (await small.run(["echo", "on"], env={}, timeout=30)).output == b"on\n"
    await small.close()


CROWD = """
import mmap, os, time
os.write(os.open("/proc/self/oom_score_adj", os.O_WRONLY), b"0")
while True:
    try: child = os.fork()
    except OSError: time.sleep(.01); continue
    if child == 0:
        time.sleep(.2)
        room = mmap.mmap(-1, 3 << 20)
        for i in range(0, 3 << 20, 4096): room[i] = 1
        time.sleep(60)
"""
TMPFS = """
import os
for folder in ("/workspace", "/tmp", "/dev/shm"):
    with open(folder + "/f", "wb", buffering=0) as f:
        while True:
            try: f.write(b"x" * 65536)
            except OSError: break
"""


@pytest.mark.parametrize("source", [CROWD, TMPFS], ids=["crowd", "tmpfs"])
async def test_memory_that_takes_the_runner_along_is_still_the_candidates_fault(
    any_sandbox: EngineSandbox, spec: BoxSpec, source: str
) -> None:
    # What a machine's image may take is its own: a disk that is larger than all of it meets the memory first.
    room = 1024 if spec.machine else spec.disk_mb
    small = await any_sandbox.open(replace(spec, memory_mb=40, disk_mb=room))
    result = await small.run(["python3", "-c", source], env={}, timeout=20)
    assert result.ending in {Ending.MEMORY, Ending.TIMEOUT}
    if result.exit_code is None:
        with pytest.raises(CandidateFault):
            await small.take(["**"])
    await small.close()


# ------------------------------------------------------------------ network


@pytest.fixture
def listeners() -> Iterator[list[str]]:
    """A TCP port and an abstract socket of this host, on which someone listens."""
    tcp = socket.create_server(("", 0))
    abstract = socket.socket(socket.AF_UNIX)
    abstract.bind(f"\0ratchet-test-{id(tcp)}")
    abstract.listen()
    reached: list[str] = []

    def serve(door: socket.socket) -> None:
        try:
            while True:
                door.accept()[0].close()
                reached.append(str(door.getsockname()))
        except OSError:
            return

    threads = [threading.Thread(target=serve, args=(door,), daemon=True) for door in (tcp, abstract)]
    for thread in threads:
        thread.start()
    yield [str(tcp.getsockname()[1]), str(abstract.getsockname(), errors="replace")[1:]]
    for door in (tcp, abstract):
        door.shutdown(socket.SHUT_RDWR)
        door.close()
    for thread in threads:
        thread.join()
    assert reached == []


async def test_a_box_reaches_nobody(attack: Attack, listeners: list[str]) -> None:
    port, name = listeners
    probe = f"""
import socket
def tries(label, act):
    try: act(); print("REACHED", label)
    except (OSError, UnicodeError) as e: pass
for host in ("127.0.0.1", "172.17.0.1", "10.0.0.1", "169.254.169.254", "192.168.0.1", "1.1.1.1"):
    for port in ({port}, 53, 80, 2375):
        tries((host, port), lambda: socket.create_connection((host, port), timeout=1))
tries("dns", lambda: socket.getaddrinfo("example.org", 80))
tries("host name", lambda: socket.getaddrinfo("host.docker.internal", 80))
def abstract():
    s = socket.socket(socket.AF_UNIX); s.connect("\\0{name}")
tries("abstract", abstract)
for path in ("/var/run/docker.sock", "/run/docker.sock", "/run/ratchet/gateway.sock"):
    def unix():
        s = socket.socket(socket.AF_UNIX); s.connect(path)
    tries(path, unix)
print("interfaces", [name for _, name in socket.if_nameindex() if name != "lo"])
"""
    result = await attack(probe, timeout=60)
    assert b"REACHED" not in result.output
    assert b"interfaces " in result.output
    assert b"eth" not in result.output


# ------------------------------------------------------------------ looking around


async def test_there_is_nothing_to_read_that_matters(
    attack: Attack, monkeypatch: pytest.MonkeyPatch, machine: bool
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret-of-the-host")
    look = """
import glob, os
print(dict(os.environ))
for pattern in ("/proc/1/environ", "/proc/1/mem", "/proc/1/maps", "/proc/1/fd", "/proc/1/root", "/proc/kcore",
                "/proc/kmsg", "/dev/mem", "/dev/sd*", "/dev/vd*", "/dev/nvme*", *OWN):
    for path in glob.glob(pattern):
        try:
            found = os.listdir(path) if os.path.isdir(path) else open(path, "rb").read(16)
            if found: print("READ", path, found)
        except OSError: pass
print("others", [p for p in os.listdir("/proc") if p.isdigit() and int(p) not in (1, os.getpid())])
print("areas", os.listdir("/run/ratchet"), os.listdir("/run/ratchet/tests"))
"""
    own = () if machine else ("/root", "/etc/shadow")  # root of a machine reads its copy of the image
    result = await attack(f"OWN = {own}\n{look}")
    said = result.output.decode()
    assert "READ" not in said
    assert "sk-secret" not in said
    assert "others []" in said
    assert "'gateway.sock'" not in said


async def test_a_command_has_no_open_files_but_its_own(attack: Attack) -> None:
    links = "for n in range(3, 256):\n try: print(os.readlink(f'/proc/self/fd/{n}'))\n except OSError: pass"
    result = await attack(f"import os\n{links}\nprint('end')")
    assert result.output == b"end\n"


async def test_one_box_sees_nothing_of_another(
    any_sandbox: EngineSandbox, spec: BoxSpec, box: DockerBox, attack: Attack
) -> None:
    other = await any_sandbox.open(spec)
    await other.put({"secret.txt": b"tell nobody"}, "/workspace")
    await other.put({"hidden.py": b"tell nobody"}, "/tests")
    search = """
import os
for top, folders, files in os.walk("/"):
    folders[:] = [f for f in folders if os.path.join(top, f) not in ("/proc", "/sys")]
    for name in files:
        if name in ("secret.txt", "hidden.py"): print("FOUND", top, name)
"""
    result = await attack(search, timeout=60)
    assert b"FOUND" not in result.output
    assert box.id != other.id
    await other.close()


# ------------------------------------------------------------------ the kernel

SYSCALLS = """
import ctypes, os, platform, socket
libc = ctypes.CDLL(None, use_errno=True)
def refused(label, result):
    print(label, "refused" if result == -1 else "ALLOWED")
n = libc.syscall
refused("unshare user", libc.unshare(0x10000000))
refused("unshare net", libc.unshare(0x40000000))
refused("clone user", n(56, 0x10000000 | 17, 0, 0, 0, 0))
refused("clone3", n(435, 0, 0))
refused("setns", libc.setns(0, 0))
refused("mount", libc.mount(b"none", b"/tmp", b"tmpfs", 0, None))
refused("umount", libc.umount2(b"/tmp", 2))
refused("pivot_root", n(155, b"/", b"/"))
refused("chroot", n(161, b"/tmp"))
refused("ptrace", n(101, 16, 1, 0, 0))
refused("process_vm_readv", n(310, 1, 0, 0, 0, 0, 0))
refused("pidfd_getfd", n(438, 0, 0, 0))
refused("kcmp", n(312, 1, 1, 0, 0, 0))
refused("bpf", n(321, 0, 0, 0))
refused("userfaultfd", n(323, 0))
refused("perf_event_open", n(298, 0, 0, -1, -1, 0))
refused("keyctl", n(250, 0, 0, 0))
refused("add_key", n(248, b"user", b"x", b"x", 1, -4))
refused("io_uring_setup", n(425, 8, 0))
refused("io_uring_enter", n(426, 0, 0, 0, 0, 0))
refused("init_module", n(175, 0, 0, b""))
refused("reboot", n(169, 0, 0, 0, 0))
refused("fsopen", n(430, b"tmpfs", 0))
refused("open_by_handle_at", n(304, 0, 0, 0))
refused("mknod device", n(133, b"/tmp/sda", 0o60600, 0x800))
refused("setuid root", libc.setuid(0))
for family in (17, 38, 40):
    kind = socket.SOCK_SEQPACKET if family == 38 else socket.SOCK_DGRAM
    try: socket.socket(family, kind); print("family", family, "ALLOWED")
    except OSError: print("family", family, "refused")
os.open("/tmp/suid", os.O_CREAT, 0o755); os.chmod("/tmp/suid", 0o4755)
print("uids", os.getresuid())
"""


@pytest.mark.skipif("__import__('platform').machine() != 'x86_64'", reason="the numbers are those of x86-64")
async def test_dangerous_system_calls_are_refused(attack: Attack, machine: bool, any_sandbox: EngineSandbox) -> None:
    result = await attack(SYSCALLS)
    said = result.output.decode()
    (uids,) = re.findall(r"uids \((\d+), \1, \1\)", said)
    if machine:
        said = said.replace("setuid root ALLOWED", "setuid root refused")  # it is root, of its own namespace
    assert "ALLOWED" not in said
    assert said.count("refused") == 29
    assert int(uids) in ((0,) if machine else any_sandbox._engine.users)


INT80 = """
import ctypes, mmap
page = mmap.mmap(-1, 4096, prot=7)
page.write(bytes.fromhex("53b814000000cd805bc3"))
print("pid", ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))())
"""


@pytest.mark.skipif("__import__('platform').machine() != 'x86_64'", reason="the code is that of x86-64")
async def test_the_32_bit_way_into_the_kernel_is_closed(attack: Attack) -> None:
    result = await attack(INT80)
    assert result.exit_code != 0
    assert b"pid" not in result.output


@pytest.mark.parametrize("variant", ["strict", pytest.param("machine", marks=SLOW)], indirect=True, scope="module")
async def test_the_box_is_hardened_as_the_engine_sees_it(
    engine: docker.APIClient, box: DockerBox, podman: bool, any_sandbox: EngineSandbox, machine: bool
) -> None:
    """For boxes without an engine, tests/sandbox/oci/test_boxes.py looks at what the runtime was asked for."""
    host = engine.inspect_container(box.container)["HostConfig"]
    assert host["NetworkMode"] == "none"
    assert podman or host["CapDrop"] == ["ALL"]  # Podman lists what it would have given
    assert podman or (host["CapAdd"] or []) == (TO_BUILD if machine else [])
    assert host["ReadonlyRootfs"]
    assert host["Memory"] == host["MemorySwap"]
    copied = host["Memory"] - 512 * MIB
    assert 0 < copied < 1024 * MIB if machine else copied == 0
    assert host["PidsLimit"] == 128
    assert host["LogConfig"]["Type"] == "none"
    assert not host["Privileged"]
    assert ("no-new-privileges" if podman else "no-new-privileges:true") in host["SecurityOpt"]
    if podman:
        assert [bind.split(":")[1:] for bind in host["Binds"]] == [["/run/ratchet", "ro,rprivate,rbind"]]
    else:
        assert not host["Binds"]
        areas = ("bind", "/run/ratchet", True) if any_sandbox.shared else ("volume", "/run/ratchet", False)
        assert [(m["Type"], m["Target"], m.get("ReadOnly", False)) for m in host["Mounts"]] == [areas]


async def test_the_box_is_hardened_as_it_sees_itself(attack: Attack, machine: bool, any_sandbox: EngineSandbox) -> None:
    result = await attack("print(open('/proc/self/status').read()); print(open('/proc/self/uid_map').read())")
    status = dict(line.split(":\t", 1) for line in result.output.decode().splitlines() if ":\t" in line)
    over_itself = f"{sum(1 << number for number in INSIDE):016x}" if machine else "0" * 16
    assert {status[f"Cap{name}"] for name in ("Prm", "Eff", "Bnd")} == {over_itself}
    assert {status[f"Cap{name}"] for name in ("Inh", "Amb")} == {"0" * 16}
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
    (user,) = set(status["Uid"].split())
    if machine:
        assert (user, status["Groups"].strip()) == ("0", "")
        first, outside, count = result.output.split()[-3:]
        assert (first, count) == (b"0", b"65536")
        assert int(outside) - 1 in MACHINES
    else:
        assert status["Groups"].strip() == user
        assert int(user) in any_sandbox._engine.users


async def test_pid_1_of_a_machine_has_kept_no_capability_and_is_of_another_user(
    box: DockerBox, machine: bool, any_sandbox: EngineSandbox
) -> None:
    (runner,) = pids(box)
    status = await asyncio.to_thread(Path(f"/proc/{runner}/status").read_text)
    assert {line.split()[1] for line in status.splitlines() if line.startswith(("CapPrm", "CapEff"))} == {"0" * 16}
    (user,) = set(re.findall(r"Uid:\t(\d+)\t\1\t\1\t\1", status))
    assert int(user) in (MACHINES if machine else any_sandbox._engine.users)


# ------------------------------------------------------------------ what the kernel counts per user

HOARD = """
import ctypes, fcntl, os, time
libc = ctypes.CDLL(None, use_errno=True)
n = 0
while libc.inotify_init() >= 0: n += 1
for child in range(4):
    if os.fork() == 0:
        held = []
        try:
            while True:
                r, w = os.pipe(); held.append((r, w))
                try: fcntl.fcntl(w, 1031, 1 << 20)
                except OSError: pass
        except OSError: pass
        time.sleep(30); os._exit(0)
time.sleep(1)
open("/workspace/hoarded", "w").write(str(n))
time.sleep(30)
"""
NEED = """
import ctypes, fcntl, os
r, w = os.pipe()
print(ctypes.CDLL(None).inotify_init() >= 0, fcntl.fcntl(r, 1032))
"""


async def test_what_one_box_uses_up_of_a_users_limits_no_other_box_misses(
    any_sandbox: EngineSandbox, spec: BoxSpec
) -> None:
    greedy, other = await any_sandbox.open(spec), await any_sandbox.open(spec)
    before = await other.run(["python3", "-c", NEED], env={}, timeout=20)
    hoarding = asyncio.create_task(greedy.run(["python3", "-c", HOARD], env={}, timeout=8))
    await asyncio.sleep(4)
    during = await other.run(["python3", "-c", NEED], env={}, timeout=20)
    await hoarding
    assert int((await greedy.take(["hoarded"]))["hoarded"]) > 0
    assert before.output == during.output == b"True 65536\n"
    for one in (greedy, other):
        await one.close()


def owners_of(box: DockerBox) -> set[int]:
    """The users on the host that the processes of a box run as."""
    return {Path(f"/proc/{pid}").stat().st_uid for pid in pids(box)}


async def test_boxes_that_live_at_a_time_have_different_users_on_the_host(
    any_sandbox: EngineSandbox, spec: BoxSpec
) -> None:
    boxes = [await any_sandbox.open(spec) for _ in range(3)]
    owners = [owners_of(one) for one in boxes]
    assert all(owners)
    assert len(set.union(*owners)) == sum(map(len, owners))
    for one in boxes:
        await one.close()


async def test_boxes_have_the_user_that_a_task_names(any_sandbox: EngineSandbox, image: str) -> None:
    for _ in range(2):
        one = await any_sandbox.open(BoxSpec(image=image, gateway=False, user=1234))
        assert (await one.run(["id", "-u"], env={}, timeout=20)).output == b"1234\n"
        await one.close()


# ------------------------------------------------------------------ what comes out

HOSTILE_TREE = """
import os, socket
os.makedirs("sub"); os.makedirs("deep")
open("honest.py", "w").write("ok")
os.symlink("/etc/passwd", "link.py"); os.symlink("/etc", "etc"); os.symlink("honest.py", "near.py")
os.link("honest.py", "hard.py")
os.mkfifo("fifo.py")
socket.socket(socket.AF_UNIX).bind("sock.py")
with open("sparse.py", "wb") as f: f.truncate(1 << 30)
open("new\\nline.py", "w"); open(b"latin-\\xff.py", "w"); open("suid.py", "w").write("s"); os.chmod("suid.py", 0o4777)
for i in range(3000): open(f"sub/{i}.txt", "w")
path = "deep"
for i in range(200):
    os.chdir(path); path = "d" * 200; os.mkdir(path)
open("/workspace/deep/x.md", "w")
"""


async def test_only_plain_files_come_out(attack: Attack, box: DockerBox) -> None:
    await attack(HOSTILE_TREE, timeout=30)
    # The chain of folders is longer than a path may be, so it cannot be searched; without it the rest can.
    with pytest.raises(CandidateFault, match="name too long"):
        await box.take(["*.none"])
    await box.run(["rm", "-rf", "deep"], env={}, timeout=30)
    for glob, fault in {
        "link.py": "not a plain file",
        "near.py": "not a plain file",
        "fifo.py": "not a plain file",
        "sock.py": "not a plain file",
        "etc": "not a plain file",
        "sparse.py": "more than",
        "new*": "control character",
        "latin*": "not valid UTF-8",
        "sub/*": "more than",
    }.items():
        with pytest.raises(CandidateFault, match=fault):
            await box.take([glob])
    assert await box.take(["etc/passwd"]) == {}
    assert await box.take(["h*.py", "suid.py"]) == {"honest.py": b"ok", "hard.py": b"ok", "suid.py": b"s"}


async def test_folders_that_become_links_do_not_lead_puts_astray(attack: Attack, box: DockerBox) -> None:
    await attack("import os; os.symlink('/tmp', 'tests'); os.symlink('/etc/passwd', 'a.txt'); os.makedirs('b.txt/x')")
    await box.put({"tests/t.py": b"hidden", "a.txt": b"A", "b.txt": b"B"}, "/workspace")
    assert await box.take(["**"]) == {"tests/t.py": b"hidden", "a.txt": b"A", "b.txt": b"B"}
    assert (await box.run(["ls", "/tmp"], env={}, timeout=10)).output == b""


def exists(path: Path) -> bool:
    return path.exists()


async def test_nothing_of_a_box_is_left_when_it_is_closed(
    any_sandbox: EngineSandbox, spec: BoxSpec, outside: Outside
) -> None:
    gone = await any_sandbox.open(spec)
    await gone.run(["sh", "-c", "sleep 100 & echo x > f"], env={}, timeout=10)
    await gone.close()
    await any_sandbox.settle()
    assert not exists(gone.folder)
    assert not outside.known(gone.container)
