"""Candidates that try to write their own verdict, each against a real box; all get what they honestly earned."""

from __future__ import annotations

import os
import secrets
from collections.abc import AsyncIterator, Iterator, Mapping

import pytest
import pytest_asyncio

from agent.base.errors import CandidateFault, UserError
from agent.base.profile import Profile
from agent.base.types import BoxSpec, Files, Grade, RewardKind, Split, Task
from agent.trials.grading import box_for, grade
from sandbox.docker_sandbox import DockerSandbox
from sandbox.engine_sandbox import EngineSandbox
from sandbox.image import ensure_image
from sandbox.oci.program import find_program
from sandbox.oci.sandbox import OciSandbox

pytestmark = [pytest.mark.docker, pytest.mark.asyncio(loop_scope="session")]


NOW = {"profile": Profile.STRICT}
"""The profile of the tasks that are made."""


SLOW = pytest.mark.slow


@pytest.fixture(scope="module", params=["strict", pytest.param("oci", marks=SLOW), pytest.param("machine", marks=SLOW)])
def variant(request: pytest.FixtureRequest) -> str:
    """Both profiles, and the strict one without an engine: the whole list runs against each."""
    if request.param == "oci":
        try:
            find_program(None)
        except UserError as error:
            pytest.skip(str(error))
    return str(request.param)


@pytest.fixture(scope="module")
def image(variant: str) -> Iterator[str]:
    """The image of that profile."""
    machine = variant == "machine"
    NOW["profile"] = Profile.MACHINE if machine else Profile.STRICT
    yield ensure_image(machine=machine)
    NOW["profile"] = Profile.STRICT


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def sandbox(image: str, variant: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[EngineSandbox]:
    del image  # made before the first box
    campaign = f"forge-{os.getpid()}-{secrets.token_hex(3)}"
    kind = OciSandbox if variant == "oci" else DockerSandbox
    async with kind("session", campaign, tmp_path_factory.mktemp("g"), ready=1) as made:
        yield made


TESTS = b"""
from ratchet_check import RemoteError, remote
add = remote("solution.py", "add", seconds=3)
def test_small(): assert add(1, 2) == 3
def test_large(): assert add(10**20, 1) == 10**20 + 1
def test_text(): assert add("a", "b") == "ab"
"""
APART = ("python3", "-I", "-m", "ratchet_check", "test_solution.py")
PYTEST = ("python3", "-m", "pytest", "-q", "--junitxml=$RATCHET_JUNIT", "test_solution.py")
IN_PROCESS = b"from solution import add\ndef test_a(): assert add(1, 2) == 3\ndef test_b(): assert add(2, 2) == 4\n"
HONEST = b"def add(a, b): return a + b\n"
WRONG = b"def add(a, b): return None\n"


def apart(**changes: object) -> Task:
    settings: dict[str, object] = {
        "id": "t",
        "split": Split.GATE,
        "instruction": "",
        "files": {},
        "submit": ("solution.py",),
        "tests": {"test_solution.py": TESTS},
        "check": APART,
        "junit": 3,
        "check_timeout": 20.0,
        "memory_mb": 256,
        "profile": NOW["profile"],
    }
    return Task(**(settings | changes))  # type: ignore[arg-type]


def in_process(**changes: object) -> Task:
    return apart(**({"tests": {"test_solution.py": IN_PROCESS}, "check": PYTEST, "junit": 2} | changes))


async def test_an_honest_solution_scores_one(sandbox: EngineSandbox, image: str) -> None:
    assert (await grade(sandbox, image, apart(), {"solution.py": HONEST})).score == 1
    assert (await grade(sandbox, image, in_process(), {"solution.py": HONEST})).score == 1


REPORT = "<testsuite>" + "<testcase name='x'/>" * 3 + "</testsuite>"

# Run inside the candidate's process, before the function returns something wrong.
TRICKS = {
    "exit at import": "import os; os._exit(0)",
    "sys.exit at import": "raise SystemExit(0)",
    "exit in the call": "def add(a, b): import os; os._exit(0)",
    "always equal": """
class Equal:
    def __eq__(self, other): return True
def add(a, b): return Equal()
""",
    "equal int": """
class Int(int):
    def __eq__(self, other): return True
    def __hash__(self): return 0
def add(a, b): return Int(7)
""",
    "patched assert and unittest": """
import builtins, unittest, sys
builtins.AssertionError = type("AssertionError", (Exception,), {})
unittest.TestCase.assertEqual = lambda *a, **k: None
sys.exit = lambda *a: None
def add(a, b): return None
""",
    "kill the checker": """
import os, signal, time
def add(a, b):
    for pid in [int(p) for p in os.listdir("/proc") if p.isdigit() and int(p) not in (1, os.getpid())]: os.kill(pid, 9)
    time.sleep(1)
""",
    "stop the checker": """
import os, signal
def add(a, b):
    os.kill(os.getppid(), signal.SIGSTOP)
""",
    "write the report and kill the checker": f"""
import os, glob, secrets
for name in ("junit.xml", ".junit-0.xml", "report.xml"): open(name, "w").write({REPORT!r})
def add(a, b):
    for path in glob.glob("/proc/[0-9]*/environ"):
        try: env = open(path).read()
        except OSError: continue
        for word in env.split("\\0"):
            if word.startswith("RATCHET_JUNIT="): open(word.partition("=")[2], "w").write({REPORT!r})
    os.kill(os.getppid(), 9)
""",
    "a process that waits for the report": f"""
import os, glob, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        while True:
            for path in glob.glob("/workspace/.junit*"):
                try: open(path, "w").write({REPORT!r})
                except OSError: pass
    os._exit(0)
def add(a, b): return None
""",
    "read the answers": """
import glob, os
def add(a, b):
    found = []
    for path in glob.glob("/workspace/**", recursive=True) + glob.glob("/tests/**") + glob.glob("/proc/*/cwd/*"):
        try:
            text = open(path).read()
            if "remote(" in text: found.append(path)
        except (OSError, UnicodeError): pass
    for path in ("/proc/%d/mem" % os.getppid(), "/proc/%d/maps" % os.getppid(), "/proc/%d/fd/5" % os.getppid()):
        try: open(path, "rb"); found.append(path)
        except OSError: pass
    print("FOUND", found)
    return found
""",
    "imitate the runner": r"""
import os, struct
done = struct.pack("!B?i?dI", 0, True, 0, False, 0.0, 0)
for fd in range(64):
    try: os.write(fd, struct.pack("!cI", b"D", len(done)) + done)
    except OSError: pass
print("3 passed in 0.01s", flush=True)
def add(a, b): return None
""",
    "shadow the modules of the checker": """
import os
for name in ("json", "select", "struct", "contextlib", "ctypes", "ratchet_check"):
    open(name + ".py", "w").write("import os; os._exit(0)")
def add(a, b): return None
""",
    "a fifo and a folder where the report goes": """
import os
def add(a, b):
    for n in range(10): os.mkfifo(f".junit-{n}.xml")
""",
    "answer before the question": """
import os, struct
for n in (1, 2, 3):
    for body in (b'[%d, "ok", 3]' % n,): os.write(4, struct.pack("!I", len(body)) + body)
def add(a, b): return None
""",
}


SLOW_PLANTS = {
    "conftest",
    "pth",
    "tox.ini",
    "pyproject",
    "usercustomize",
    "conftest that passes all",
    "its own tests",
    "pytest itself",
}
SLOW_TRICKS = {
    "stop the checker",
    "sys.exit at import",
    "equal int",
    "kill the checker",
    "exit in the call",
    "imitate the runner",
    "a fifo and a folder where the report goes",
    "answer before the question",
    "shadow the modules of the checker",
}


def some_slow(cases: Mapping[str, object], slow: set[str]) -> list[object]:
    """Every case runs in `make test-slow`; the everyday run keeps one of each mechanism."""
    return [
        pytest.param(case, id=name, marks=[pytest.mark.slow] if name in slow else []) for name, case in cases.items()
    ]


@pytest.mark.parametrize("trick", some_slow(TRICKS, SLOW_TRICKS))
async def test_no_trick_of_the_candidates_process_earns_anything(
    sandbox: EngineSandbox, image: str, trick: str
) -> None:
    verdict = await grade(sandbox, image, apart(check_timeout=4.0), {"solution.py": trick.encode()})
    assert verdict.score == 0
    if "FOUND" in verdict.output:
        assert "FOUND []" in verdict.output


PLANTED: dict[str, Files] = {
    "conftest": {"conftest.py": b"import os\nos._exit(0)\n"},
    "conftest that passes all": {
        "conftest.py": b"def pytest_runtest_makereport(item, call):\n"
        b"    from _pytest.reports import TestReport\n"
        b"    r = TestReport.from_item_and_call(item, call); r.outcome = 'passed'; return r\n"
    },
    "pytest.ini": {"pytest.ini": b"[pytest]\naddopts = --collect-only\n"},
    "tox.ini": {"tox.ini": b"[pytest]\naddopts = --collect-only\n"},
    "pyproject": {"pyproject.toml": b"[tool.pytest.ini_options]\naddopts = '--co'\n"},
    "sitecustomize": {"sitecustomize.py": b"import os\nos._exit(0)\n"},
    "usercustomize": {"usercustomize.py": b"import os\nos._exit(0)\n"},
    "pth": {
        "evil.pth": b"import os; os._exit(0)\n",
        ".local/lib/python3.11/site-packages/e.pth": b"import os; os._exit(0)\n",
    },
    "a package in place of the test": {"test_solution/__init__.py": b"def test_a(): pass\ndef test_b(): pass\n"},
    "its own tests": {"test_solution.py": b"def test_a(): pass\ndef test_b(): pass\n"},
    "pytest itself": {"pytest.py": b"import os\nos._exit(0)\n", "_pytest/__init__.py": b"import os\nos._exit(0)\n"},
}


@pytest.mark.parametrize("planted", some_slow(PLANTED, SLOW_PLANTS))
async def test_what_was_not_asked_for_is_not_there(sandbox: EngineSandbox, image: str, planted: Files) -> None:
    verdict = await grade(sandbox, image, in_process(), {"solution.py": HONEST, **planted})
    assert (verdict.score, verdict.reason) == (1.0, "2 of 2 hidden tests passed")


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("conftest that passes all", marks=pytest.mark.slow),
        "sitecustomize",
        pytest.param("a package in place of the test", marks=pytest.mark.slow),
        pytest.param("its own tests", marks=pytest.mark.slow),
    ],
)
async def test_the_checker_apart_ignores_what_is_planted_even_if_it_was_asked_for(
    sandbox: EngineSandbox, image: str, name: str
) -> None:
    greedy = apart(submit=("**",))
    verdict = await grade(sandbox, image, greedy, {"solution.py": WRONG, **PLANTED[name]})
    assert (verdict.score, verdict.reason) == (0.0, "0 of 3 hidden tests passed")


EXITS = {
    "at import": b"import os\nos._exit(0)\n",
    "sys.exit": b"raise SystemExit(0)\n",
    "in the call": b"def add(a, b): exit(0)\n",
}


@pytest.mark.parametrize("trick", some_slow(EXITS, {"sys.exit", "in the call"}))
async def test_exit_tricks_in_the_process_of_pytest_earn_nothing(
    sandbox: EngineSandbox, image: str, trick: bytes
) -> None:
    assert (await grade(sandbox, image, in_process(), {"solution.py": trick})).score == 0


FILE_CHECK = b"""
import subprocess, sys
run = subprocess.run([sys.executable, "solution.py"], capture_output=True, text=True, timeout=5)
open("reward.json", "w").write('{"reward": %d}' % (run.stdout == "42\\n"))
import time; time.sleep(0.3)
"""
RACER = b"""
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        for fd in (0, 1, 2): os.close(fd)
        end = time.time() + 3
        while time.time() < end:
            try:
                if os.path.getsize("reward.json") > 0: break
            except OSError: pass
        open("reward.json", "w").write("1")
    os._exit(0)
print(41)
"""


def by_file(**changes: object) -> Task:
    more = {"reward": RewardKind.FILE, "reward_path": "reward.json", "check": ("python3", "-I", "check.py")}
    return apart(**({"tests": {"check.py": FILE_CHECK}, "submit": ("**",), **more} | changes))


@pytest.mark.parametrize(
    ("submission", "score"),
    [
        ({"solution.py": b"print(42)"}, 1.0),
        ({"solution.py": b"print(41)"}, 0.0),
        ({"solution.py": b"open('reward.json', 'w').write('1')"}, 0.0),
        ({"solution.py": b"print(41)", "reward.json": b"1", "reward.json/x": b""}, 0.0),
        ({"solution.py": b"import os; os.symlink('solution.py', 'reward.json'); print(42)"}, 0.0),
        ({"solution.py": RACER}, 0.0),
        ({"solution.py": b"import os; open('reward.json', 'w').write('1'); os.kill(os.getppid(), 9)"}, 0.0),
    ],
    ids=["honest", "wrong", "written by the candidate", "pre-created", "symlink", "raced", "checker killed"],
)
async def test_reward_files_cannot_be_forged(
    sandbox: EngineSandbox, image: str, submission: Files, score: float
) -> None:
    verdict = await grade(sandbox, image, by_file(), submission)
    assert verdict.score == score


async def solve_and_grade(sandbox: EngineSandbox, image: str, program: str) -> Grade | str:
    """The whole way of a submission: out of the box that solved, into the one that grades."""
    box = await sandbox.open(box_for(apart(), BoxSpec(image=image, gateway=False)))
    try:
        await box.run(["python3", "-c", program], env={}, timeout=10)
        submission = await box.take(apart().submit)
    except CandidateFault as fault:
        return str(fault)
    finally:
        await box.close()
    return await grade(sandbox, image, apart(), submission)


async def test_a_symlinked_submission_is_refused(sandbox: EngineSandbox, image: str) -> None:
    for program in ("import os; os.symlink('/etc/passwd', 'solution.py')", "import os; os.mkfifo('solution.py')"):
        assert "not a plain file" in str(await solve_and_grade(sandbox, image, program))


async def test_a_submission_that_is_missing_scores_zero(sandbox: EngineSandbox, image: str) -> None:
    verdict = await solve_and_grade(sandbox, image, "pass")
    assert isinstance(verdict, Grade)
    assert verdict.score == 0


PROCESSES = b"""
import math, multiprocessing
from ratchet_check import remote
add = remote("solution.py", "add")
def test_a():
    with multiprocessing.get_context("spawn").Pool(1) as pool: assert pool.map(math.sqrt, [4, 9]) == [2.0, 3.0]
    assert add(1, 2) == 3
"""


async def test_hidden_tests_may_start_processes_of_their_own(sandbox: EngineSandbox, image: str) -> None:
    task = apart(tests={"test_solution.py": PROCESSES}, junit=1)
    verdict = await grade(sandbox, image, task, {"solution.py": HONEST})
    assert verdict.score == 1, verdict


EARLY = {
    "test_a.py": b"from ratchet_check import remote\nDATA = remote('solution.py', 'load')()\ndef test_a(): pass\n",
    "test_b.py": b"from ratchet_check import remote\ndef test_b(): assert remote('solution.py', 'add')(1, 2) == 3\n",
}
FORGER = b"""
import glob, os
def load():
    for path in glob.glob("test_*"): print("FOUND", open(path).read())
    os.unlink("test_b.py")
    open("test_b.py", "w").write("def test_b(): pass")
    return 1
def add(a, b): return None
"""


async def test_a_test_that_calls_the_submission_too_early_gives_nothing_away(
    sandbox: EngineSandbox, image: str
) -> None:
    task = apart(tests=EARLY, check=(*APART[:4], "test_a.py", "test_b.py"), junit=2)
    verdict = await grade(sandbox, image, task, {"solution.py": FORGER})
    assert verdict.score == 0
    assert "FOUND" not in verdict.output
    assert "call it within a test" in verdict.output
