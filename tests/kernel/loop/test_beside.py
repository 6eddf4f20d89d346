"""A second, real process at the same ledger: reading never holds up writing, and sees one moment."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from agent.base.types import Purpose
from agent.kernel.record.ledger import Ledger
from tests.kernel.records import candidate

WRITER = """
import sys
from pathlib import Path
from agent.kernel.record.ledger import Ledger
from agent.base.types import Purpose, Trial, Usage
file, first, count = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
with Ledger(file) as ledger:
    for n in range(first, first + count):
        ledger.add_trial(Trial(id=f"t{n}", tree="x", task="t", purpose=Purpose.SEARCH, seed=n, score=n % 2,
            reason="", transcript=str(n), usage=Usage(), seconds=0.0), candidate=0, index=n)
"""


def writer(file: Path, first: int, count: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", WRITER, str(file), str(first), str(count)])


def made(tmp_path: Path) -> Path:
    file = tmp_path / "ledger.sqlite"
    with Ledger(file) as ledger:
        ledger.add_candidate(candidate(0), fingerprint=None, diff="", transcript="")
    return file


def test_a_reader_in_the_middle_of_a_long_look_holds_nobody_up(tmp_path: Path) -> None:
    file = made(tmp_path)
    with Ledger(file, read_only=True) as reader:
        with reader.snapshot():
            before = reader.count_trials()
            assert writer(file, 0, 300).wait(60) == 0
            assert reader.count_trials() == before == len(reader.indices(Purpose.SEARCH)) == 0
        assert reader.count_trials() == 300


def test_what_is_read_while_another_process_writes_fits_together(tmp_path: Path) -> None:
    file = made(tmp_path)
    process, seen = writer(file, 0, 1500), [0]
    with Ledger(file, read_only=True) as reader:
        while process.poll() is None:
            with reader.snapshot():
                (tally,) = reader.tallies(Purpose.SEARCH) or [None]
                scores = reader.scores(Purpose.SEARCH, 0)
                links, _ = reader.head()
            count = tally.trials if tally else 0
            assert count == len(scores) == links - 1
            assert count >= seen[-1]
            seen.append(count)
        assert process.returncode == 0
        assert reader.count_trials() == 1500
    assert any(0 < count < 1500 for count in seen), "the reader never looked in the middle"


def test_two_writers_would_not_fork_the_chain(tmp_path: Path) -> None:
    file = made(tmp_path)
    processes = [writer(file, first, 200) for first in (0, 1000)]
    assert [process.wait(120) for process in processes] == [0, 0]
    with Ledger(file, read_only=True) as reader:
        assert reader.head()[0] == 401 == sum(1 for _ in reader.links(0))
        assert reader.count_trials() == 400
