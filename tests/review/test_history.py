"""What the log and the show command print, in the face of text that a model chose."""

from __future__ import annotations

import io
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from agent.kernel.repository import Commit
from agent.kernel.types import Candidate, Fate, Purpose, Trial, Usage
from agent.review.history import accepted, render_diff, render_log, render_show
from agent.review.safe import visible, visible_lines

DIFF = "diff --git a/x.py b/x.py\n--- a/x.py\n+++ b/x.py\n@@ -1 +1 @@\n-a = 1\n+a = [bold]2[/bold]\n"
TRAILERS = {
    "Ratchet-Campaign": "night",
    "Ratchet-Candidate": "7",
    "Ratchet-Score": "0.412 -> 0.523 (118 pairs)",
    "Ratchet-Evidence": "e-value 204 >= 182 (e-LOND, alpha 0.10)",
    "Ratchet-Holdout": "0.510 (60 trials, used for no decision)",
}
EVIL = "\x1b[2J\x1b]0;owned\x07\u202egnp\u2066\r[red]x[/red] :smile: [/]"


def commit(subject: str = "Retry an empty answer once", **trailers: str) -> Commit:
    return Commit(
        sha="c0ffee" * 6 + "beef",
        tree="t",
        parents=("p",),
        time=1_790_000_000,
        email="ratchet@localhost",
        subject=subject,
        body="",
        trailers={**TRAILERS, **{f"Ratchet-{key}": value for key, value in trailers.items()}},
    )


def candidate(number: int = 7, fate: Fate = Fate.REJECTED, text: str = "Retry an empty answer") -> Candidate:
    return Candidate(id=number, parent=0, tree="t", subject=text, body=text, fate=fate, reason=text)


def trial(task: str, score: float, reason: str = "3 of 5 tests failed") -> Trial:
    return Trial(
        id="t1",
        tree="t",
        task=task,
        purpose=Purpose.SEARCH,
        seed=1,
        score=score,
        reason=reason,
        transcript="",
        usage=Usage(),
        seconds=1.0,
    )


def console(width: int = 80, *, colour: bool = False) -> Console:
    return Console(file=io.StringIO(), width=width, force_terminal=colour, color_system="standard" if colour else None)


def printed(screen: Console) -> str:
    assert isinstance(screen.file, io.StringIO)
    return screen.file.getvalue()


def words(screen: Console) -> str:
    return " ".join(printed(screen).split())


def test_the_log_shows_what_was_accepted_with_its_score() -> None:
    screen = console()
    render_log([commit(), commit("Say the plan first", Candidate="3")], [], screen)
    lines = printed(screen).splitlines()
    assert lines[0].split() == ["#", "commit", "accepted", "patch", "score"]
    assert lines[1].startswith("7 c0ffeec0f ")
    assert "0.412 -> 0.523" in printed(screen)
    assert "Say the plan" in printed(screen)
    assert all(len(line.rstrip()) <= 80 for line in lines)


def test_a_wide_log_shows_evidence_and_holdout() -> None:
    screen = console(160)
    render_log([commit()], [], screen)
    assert "e-value 204 >= 182" in words(screen)
    assert "used for no decision" in words(screen)


def test_an_empty_log_says_so() -> None:
    screen = console()
    render_log([], [candidate(0, Fate.OPEN)], screen, rejected=True)
    assert printed(screen) == "No patch was accepted yet.\n\nNothing else was proposed.\n"


def test_what_was_turned_down_is_shown_when_asked() -> None:
    rejected = candidate(4, text="Count tokens"), candidate(5, Fate.REFUSED, "path `/etc` is outside")
    for asked in (False, True):
        screen = console()
        render_log([commit()], [*rejected, candidate(7, Fate.CHAMPION, "Won")], screen, rejected=asked)
        assert ("Count tokens" in words(screen)) is asked
        assert ("refused" in words(screen)) is asked
        assert "Won" not in words(screen)


def test_evidence_is_read_out_of_trailers() -> None:
    [row] = accepted([commit()])
    assert (row.candidate, row.score) == (7, "0.412 -> 0.523 (118 pairs)")
    [row] = accepted([commit(Candidate="\u0663 or so", Score="")])
    assert (row.candidate, row.score) == (None, "")


def test_show_prints_fate_words_trials_and_patch() -> None:
    screen = console()
    trials = [trial("sum", 0.0), trial("sum", 1.0, "ok"), trial("sort", 1.0, "ok")]
    render_show(candidate(), DIFF, trials, screen, transcript="thinking", commit=commit())
    text = words(screen)
    assert text.startswith("#7 Retry an empty answer rejected, made from #0: Retry an empty answer")
    assert "3 search trials, mean 0.667" in text
    assert "sum 2 0.50 3 of 5 tests failed" in text
    assert "Score 0.412 -> 0.523 (118 pairs)" in text
    assert "-a = 1 +a = [bold]2[/bold]" in text
    assert text.endswith("what its proposer printed thinking")


def test_show_of_a_refused_candidate_without_a_patch_is_short() -> None:
    screen = console()
    render_show(candidate(fate=Fate.REFUSED), "", [], screen)
    assert "patch" not in words(screen)
    assert "trials" not in words(screen)


def test_a_patch_in_a_pipe_is_not_broken_into_lines_nor_padded() -> None:
    screen = console(40)
    long = "+" + "word " * 30 + "end"
    render_diff(f"{DIFF}{long}\n", screen)
    assert printed(screen) == f"{DIFF}{long}\n"


def test_a_patch_on_a_terminal_is_coloured() -> None:
    screen = console(colour=True)
    render_diff(DIFF, screen)
    assert "\x1b[92;49m+a = [bold]2[/bold]\x1b[0m" in printed(screen)


def assert_harmless(text: str) -> None:
    bad = [c for c in text if c != "\n" and unicodedata.category(c) in {"Cc", "Cf", "Cs", "Zl", "Zp"}]
    assert bad == []


@pytest.mark.parametrize("width", [20, 80, 200])
def test_hostile_text_is_spelled_out_everywhere(width: int) -> None:
    screen = console(width)
    hostile = commit(EVIL, Score=EVIL, Evidence=EVIL, Holdout=EVIL, Campaign=EVIL)
    render_log([hostile], [candidate(3, text=EVIL)], screen, rejected=True)
    render_show(candidate(text=EVIL), f"+{EVIL}\n", [trial(EVIL, 0, EVIL)], screen, transcript=EVIL, commit=hostile)
    assert_harmless(printed(screen))
    squeezed = "".join(printed(screen).split())
    assert "<U+202E>gnp<U+2066>" in squeezed
    assert "[red]x[/red]:smile:[/]" in squeezed


@settings(max_examples=60, deadline=None)
@given(text=st.text())
def test_any_text_can_be_shown(text: str) -> None:
    screen = console()
    render_log([commit(text)], [candidate(text=text)], screen, rejected=True)
    render_show(candidate(text=text), text, [trial(text, 0.5, text)], screen, transcript=text)
    assert_harmless(printed(screen))


def test_endless_lines_and_texts_are_cut_and_say_so() -> None:
    assert visible("x" * 1000) == "x" * 400 + "… (+600 characters)"
    assert visible_lines("a\n" * 3000)[1999:] == ["a", "… (+1000 lines)"]
    assert visible("\ta\x1b") == "    a<U+001B>"
    assert visible_lines("a\r\nb\rc\n\n") == ["a", "b<U+000D>c"]
