"""What `ratchet verify` prints."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict

from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from agent.base.text import visible
from agent.kernel.git.messages import Commit
from agent.kernel.record.ledger import Ledger
from agent.review.audit.fresh import Comparison
from agent.review.audit.judgement import Claim, claim_of, fresh_sentence
from agent.review.audit.verify import Checked
from agent.review.audit.verify_ledger import Broken, anchors, verify_ledger
from agent.review.terminal.style import cell

_MARKS = {True: ("ok", "green"), False: ("FAIL", "bold red"), None: ("note", "yellow")}
_CLAIMS = {
    Claim.CONFIRMED: ("confirmed: it is better", "bold green"),
    Claim.REFUTED: ("refuted: it is not better", "bold red"),
    Claim.UNSETTLED: ("not settled: too few pairs to tell; ask for more", "bold yellow"),
}


def render_checks(commit: Commit, checks: Sequence[Checked], console: Console) -> None:
    """Print what was checked, mismatches in red."""
    console.print(Text(visible(f"{commit.sha[:12]} {commit.subject}"), style="bold"))
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 1, 0, 0))
    for _ in range(2):
        table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for one in checks:
        table.add_row(Text(*_MARKS[one.ok]), cell(one.what.removeprefix("Ratchet-")), Text(visible(one.said, 1000)))
    console.print(table)
    bad = [one.what for one in checks if one.ok is False]
    if bad:
        console.print(Text(f"does NOT match the record: {', '.join(map(visible, bad))}", style="bold red"))
    else:
        console.print(Text(f"matches the record: {len(checks)} checks", style="bold green"))


def render_fresh(comparison: Comparison, claimed: float | None, console: Console) -> None:
    """Print a fresh comparison and whether it confirms the claim; a revert claims nothing."""
    console.print(Text(fresh_sentence(comparison, claimed)))
    if claimed is not None:
        console.print(Text(*_CLAIMS[claim_of(comparison)]))


def check_ledger(ledger: Ledger, commits: Iterable[Commit], console: Console, *, as_json: bool) -> bool:
    """Verify the whole record, print what was found, and return whether every row is as it was written."""
    (links, head), published = ledger.head(), anchors(commits)
    bodies = int(next(ledger.stream("SELECT count(*) FROM blobs"))[0])
    with Progress(console=Console(stderr=True), transient=True) as bar:
        line = bar.add_task("reading the ledger", total=links + bodies)
        broken = [Broken(name="file", said=said) for said in ledger.damage()]
        broken += verify_ledger(ledger, published, lambda more: bar.advance(line, more))
    if as_json:
        facts = {"links": links, "head": head, "bodies": bodies, "commits": len(published)}
        print(json.dumps({**facts, "broken": [asdict(one) for one in broken]}))  # noqa: T201 (for programs)
        return not broken
    for one in broken:
        console.print(Text(visible(f"{one.name} {one.said}"), style="red"))
    whole = f"{links} rows and {bodies} bodies are as they were written; {len(published)} commits name a link of it"
    console.print(Text(f"{len(broken)} things are not as they were written" if broken else whole))
    return not broken
