"""What the log and the show command print, in the face of text that a model chose."""

from __future__ import annotations

import asyncio
import io
import json
import unicodedata
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from agent.base.text import visible, visible_lines
from agent.base.trust import DEFAULT_MUTABLE
from agent.base.types import Candidate, Fate, Purpose, Trial
from agent.base.usage import Usage
from agent.kernel.git.messages import Commit
from agent.kernel.git.repository import Repository
from agent.kernel.record.ledger import PairRow
from agent.review.audit.fresh import Comparison
from agent.review.audit.verify import Checked
from agent.review.commits import accepted
from agent.review.terminal.log import log_facts, render_graph, render_log
from agent.review.terminal.show import Dossier, changed, collect, render_show, why
from agent.review.terminal.style import render_diff
from agent.review.terminal.verify import render_checks, render_fresh
from sandbox.fake import FakeRun
from tests.kernel.lab import SETTINGS, Lab, git, skill_of
from tests.kernel.records import call
from tests.review.conftest import Night

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


def trial(task: str, score: float, reason: str = "3 of 5 tests failed", transcript: str = "") -> Trial:
    return Trial(
        id="t1",
        tree="t",
        task=task,
        purpose=Purpose.SEARCH,
        seed=1,
        score=score,
        reason=reason,
        transcript=transcript,
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


def test_rejected_patches_are_shown_on_request() -> None:
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


def test_what_a_reviewer_should_look_at_first_comes_before_the_authors_words() -> None:
    text = shown(dossier(candidate(text="Trust me."), flags=["starts a process\x1b[2J"]))
    assert text.index("starts a process<U+001B>") < text.rindex("Trust me.")


def dossier(one: Candidate | None = None, **parts: object) -> Dossier:
    everything: dict[str, object] = {
        "candidate": one or candidate(),
        "commit": None,
        "reverted_by": "",
        "diff": DIFF,
        "proposal": "thinking",
        "base": 0,
        "before": {},
        "after": {},
        "meetings": [],
        "trials": {Purpose.SEARCH: 3},
        "usage": Usage(calls=5, fresh_calls=3, tokens_in=1000, tokens_out=234, dollars=0.5),
    }
    return Dossier(**{**everything, **parts})


def shown(told: Dossier, **options: bool) -> str:
    screen = console()
    render_show(told, screen, **options)
    return words(screen)


BEFORE = {0: trial("sum", 0.0, transcript="old way"), 1: trial("sort", 1.0), 2: trial("join", 1.0)}
AFTER = {0: trial("sum", 1.0, "ok", "new way"), 1: trial("sort", 0.5), 3: trial("join", 1.0)}


def test_show_prints_fate_reason_words_evidence_and_patch() -> None:
    text = shown(dossier(commit=commit()), proposal=True)
    assert text.startswith("#7 Retry an empty answer rejected, made from #0 Retry an empty answer.")
    assert "Score 0.412 -> 0.523 (118 pairs)" in text
    assert "3 search trials; 5 model calls, 3 of them fresh; 1,234 tokens; $0.5000" in text
    assert "-a = 1 +a = [bold]2[/bold]" in text
    assert text.endswith("what its improver printed thinking")


def test_show_says_what_prompt_caches_saved_if_they_saved_anything() -> None:
    assert "$0.5000; prompt caches saved $0.1200" in shown(dossier(saved=0.12))
    assert "caches" not in shown(dossier())


def test_show_counts_wins_and_losses_a_task_on_the_same_trials() -> None:
    text = shown(dossier(before=BEFORE, after=AFTER))
    assert "sum 1 0.00 1.00 1 " in text
    assert "sort 1 1.00 0.50 1 3 of 5 tests failed" in text
    assert "2 trials changed; --transcripts shows them" in text
    assert "old way" not in text


def test_transcripts_are_of_the_search_trials_that_changed() -> None:
    told = dossier(before=BEFORE, after=AFTER)
    assert [after.task for _, after in changed(told)] == ["sort", "sum"]
    text = shown(told, transcripts=True)
    assert "search task sum #0 scored 0: 3 of 5 tests failed old way #7 scored 1: ok new way" in text
    assert "no search trial changed its score" in shown(dossier(), transcripts=True)


def test_transcripts_show_the_model_calls_and_keep_both_ends() -> None:
    ask = b'{"messages":[{"content":"%s","role":"user"}]}' % b"line\\n".join([b"begin ", *[b""] * 200, b"end"])
    answer = b'{"choices":[{"message":{"content":"the answer","role":"assistant"}}]}'
    text = shown(
        dossier(before=BEFORE, after=AFTER, calls=lambda _: [replace(call(ask), response=answer)]), transcripts=True
    )
    for words_ in ("call 1: solver", "begin line", "lines left out", "end --- answer the answer", "new way"):
        assert words_ in text


def test_of_the_gate_only_totals_are_shown() -> None:
    pairs = [
        PairRow(index=n, task=f"secret-{n}", champion=a, candidate=b, void_side=None, at=0.0)
        for n, (a, b) in enumerate([(0.0, 1.0), (0.0, 1.0), (1.0, 0.0), (1.0, 1.0)])
    ]
    pairs.append(PairRow(index=4, task="secret-4", champion=None, candidate=None, void_side="both", at=0.0))
    text = shown(dossier(meetings=[(0, pairs)]))
    assert "gate: against #0 all gate tasks together: 4 fresh pairs, 2 won, 1 lost, 1 equal, 1 discarded" in text
    assert "secret" not in text


def test_why_is_a_sentence_with_figures_for_every_fate() -> None:
    assert why(dossier(candidate(fate=Fate.REFUSED, text="a link"))) == "Refused before it was compared: a link."
    assert why(dossier(candidate(fate=Fate.OPEN))) == "Open: not tried yet."
    tried = dossier(candidate(fate=Fate.OPEN), before=BEFORE, after=AFTER)
    assert why(tried) == "Open: it never met the champion; 3 search trials, mean 0.833 (#0: 0.667)."
    gone = dossier(candidate(fate=Fate.CHAMPION, text="accepted: better"), reverted_by="0123456789abcdef")
    assert why(gone) == "Accepted: better. Reverted later by 0123456789."


def test_the_graph_names_every_candidate_and_counts_the_refused() -> None:
    screen = console()
    known = [candidate(0, Fate.OPEN), candidate(1, Fate.CHAMPION, "Won"), candidate(2, Fate.REFUSED, "No")]
    drawn = [("* ", "a"), ("| * ", "0123456789ab"), ("|/  ", ""), ("* ", "c")]
    render_graph(drawn, {"a": 1, "c": 0}, known, 1, screen)
    lines = [line.rstrip() for line in printed(screen).splitlines()]
    assert lines[0] == "* #1 accepted (champion)  Won"
    assert lines[1:3] == ["| * 0123456789", "|/"]
    assert "1 more were refused" in lines[-1]


def test_the_log_for_programs_is_ascii_and_complete() -> None:
    facts = log_facts("night", [commit(EVIL)], [candidate(0), candidate(7, Fate.CHAMPION, EVIL)])
    text = json.dumps(facts)
    assert text.isascii()
    assert json.loads(text)["commits"][0]["subject"] == EVIL
    assert [one["id"] for one in facts["candidates"]] == [0, 7]


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
    trials = {0: trial(EVIL, 0, EVIL, EVIL)}, {0: trial(EVIL, 1, EVIL, EVIL)}
    told = dossier(
        candidate(text=EVIL), commit=hostile, diff=f"+{EVIL}\n", proposal=EVIL, before=trials[0], after=trials[1]
    )
    render_show(told, screen, transcripts=True, proposal=True)
    render_graph([("* ", "a")], {"a": 3}, [candidate(3, text=EVIL)], 0, screen)
    render_checks(hostile, [Checked(what=EVIL, ok=False, said=EVIL)], screen)
    render_fresh(Comparison(pairs=((0.0, 1.0),), voids=0), 0.5, screen)
    assert_harmless(printed(screen))
    squeezed = "".join(printed(screen).split())
    assert "<U+202E>gnp<U+2066>" in squeezed
    assert "[red]x[/red]:smile:[/]" in squeezed


@settings(max_examples=60)
@given(text=st.text())
def test_any_text_can_be_shown(text: str) -> None:
    screen = console()
    render_log([commit(text)], [candidate(text=text)], screen, rejected=True)
    told = dossier(candidate(text=text), diff=text, proposal=text, after={0: trial(text, 0.5, text, text)})
    render_show(told, screen, transcripts=True, proposal=True)
    assert_harmless(printed(screen))


def test_a_line_of_a_megabyte_stays_a_line_that_a_terminal_can_show() -> None:
    endless = "\u202ex" * 500_000
    told = dossier(
        candidate(text=endless), commit=commit(endless), diff=f"+{endless}\n" * 20, proposal=endless,
        before={0: trial(endless, 0, endless, endless)}, after={0: trial(endless, 1, endless, endless)},
    )  # fmt: skip
    screen = console()
    render_show(told, screen, transcripts=True, proposal=True)
    render_log([commit(endless)], [candidate(text=endless)], screen, rejected=True)
    render_graph([("* ", "a")], {"a": 3}, [candidate(3, text=endless)], 0, screen)
    assert_harmless(printed(screen))
    assert len(printed(screen)) < 200_000


def test_endless_lines_and_texts_are_cut_and_say_so() -> None:
    assert visible("x" * 1000) == "x" * 400 + "… (+600 characters)"
    assert visible_lines("a\n" * 3000)[1999:] == ["a", "… (+1000 lines)"]
    assert visible("\ta\x1b") == "    a<U+001B>"
    assert visible_lines("a\r\nb\rc\n\n") == ["a", "b<U+000D>c"]


# ------------------------------------------------------------------------------------ which patch is shown


def climb(scene: FakeRun) -> None:
    """A little better with every step, so that a patch meets the champion after several."""
    scene.workspace[SETTINGS] = f"SKILL = {min(skill_of(scene) + 12, 95)}\n".encode()
    scene.workspace["PATCH.md"] = b"Raise SKILL a little\n"


@pytest.fixture(scope="module")
def climbed(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    lab = Lab(tmp_path_factory.mktemp("lab"), climb, trials=500)
    asyncio.run(lab.run())
    return lab


def repository(lab: Lab, repo: Path | None = None) -> Repository:
    with lab.ledger() as ledger:
        return Repository.open(repo or lab.repo, "night", DEFAULT_MUTABLE, ledger.recollect("base"))


def test_the_patch_is_the_whole_one_against_the_champion_that_it_met(climbed: Lab) -> None:
    steps, git_side = 0, repository(climbed)
    with climbed.ledger() as ledger:
        met = {row.candidate: row.champion for row in ledger.tests()}
        known = ledger.candidates()
        for number, champion in met.items():
            told = collect(known[number], ledger, git_side)
            assert told.diff == git_side.diff(known[champion].tree or "", known[number].tree or "")
            assert told.against.startswith(f"the champion #{champion} that it met")
            last = collect(known[number], ledger, git_side, parent=True)
            assert last.diff == ledger.candidate_texts(number)[0]
            assert last.against == f"its parent #{known[number].parent}"
            composite = known[number].parent != champion
            steps += composite
            assert ("--parent" in told.against) == composite
            assert (told.diff != last.diff) == composite
    assert steps  # some patch was made in more than one step


def test_where_the_trees_are_missing_the_parents_patch_is_shown_and_named(climbed: Lab, tmp_path: Path) -> None:
    git(tmp_path, "clone", "-q", "--no-local", "--single-branch", "--branch", "main", str(climbed.repo), "clone")
    clone = repository(climbed, tmp_path / "clone")
    with climbed.ledger() as ledger:
        made = [one for one in ledger.candidates() if one.parent is not None and one.tree is not None]
        told = [collect(one, ledger, clone) for one in made]
    assert told
    assert all(one.against.startswith("its parent #") for one in told)


def test_the_patch_of_an_accepted_candidate_is_that_of_its_commit(night: Night) -> None:
    for commit in night.commits():
        shown = night.ratchet("show", commit.trailers["Ratchet-Candidate"]).stdout
        assert night.git("diff-tree", "-p", "--no-color", commit.parents[0], commit.sha) in shown


def test_a_refused_candidate_shows_what_was_proposed(night: Night) -> None:
    with night.ledger() as ledger:
        refused = next(one for one in ledger.candidates() if one.tree is None)
        told = collect(refused, ledger, night.repository())
        assert told.diff == ledger.candidate_texts(refused.id)[0]
    assert told.against.startswith("its parent")
