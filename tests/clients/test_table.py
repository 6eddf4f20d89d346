"""The table of docs/models.md, client by provider: made by sending every captured request through the gateway.

`python -m tests.clients.test_table` writes it again.
"""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.server import Json
from tests.clients.test_requests import CASES, DATA, Case, Way, called, gateway

pytestmark = pytest.mark.asyncio(loop_scope="module")
DOCS = Path(__file__).parents[2] / "docs" / "models.md"
BEGIN, END = "<!-- clients: made by tests/clients/test_table.py -->\n", "<!-- end of clients -->\n"
DIALECTS = {"chat": "Chat", "messages": "Messages", "responses": "Responses"}
NATIVES = ("openai", "anthropic")
Row = tuple[str, str, str]


def row_of(case: Case, data: Json) -> Row:
    """Client with its version, dialect, and what is special about this capture."""
    return f"{data['client']} {data['version']}", DIALECTS[case.dialect or ""], data["note"].rstrip(".")


async def came_of(case: Case, way: Way) -> tuple[bool, str]:
    """Whether one request was answered whole, and what was left out, or why it was refused."""
    response = await way.send(case.request)
    if response.status_code == 200:
        return called(str(case.dialect), response)[1], response.headers.get("x-ratchet-left-out", "")
    return False, str(response.json()["error"]["message"]).split(":")[0]


async def measured() -> str:
    """The table as Markdown."""
    answered: dict[tuple[Row, str], list[bool]] = defaultdict(list)
    besides: dict[tuple[Row, str], dict[str, None]] = defaultdict(dict)
    kinds = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in DATA.glob("*.json")}
    rows = [row_of(case, kinds[case.client]) for case in CASES if case.dialect]
    for native in NATIVES:
        async with gateway(native) as way:
            for case in CASES:
                if case.dialect:
                    at = row_of(case, kinds[case.client]), native
                    whole, said = await came_of(case, way)
                    answered[at].append(whole)
                    besides[at] |= dict.fromkeys(filter(None, said.split(", ")))
    return "".join(_lines(list(dict.fromkeys(rows)), answered, besides))


def _lines(
    rows: list[Row], answered: dict[tuple[Row, str], list[bool]], besides: dict[tuple[Row, str], dict[str, None]]
) -> Iterator[str]:
    yield "| client | speaks | to OpenAI-compatible | to Anthropic |\n|---|---|---|---|\n"
    for row in sorted(rows, key=lambda row: (row[0].lower(), row)):
        cells = [_cell(answered[row, native], [*besides[row, native]]) for native in NATIVES]
        client, dialect, note = row
        yield f"| {client}{f'. {note}' if note else ''} | {dialect} | {' | '.join(cells)} |\n"


def _cell(whole: list[bool], said: list[str]) -> str:
    count = f"{sum(whole)} of {len(whole)} answered"
    names = ", ".join(name if "`" in name or " " in name else f"`{name}`" for name in sorted(said))
    return f"{count}; not sent: {names}" if names and all(whole) else f"{count}; {names}" if names else count


async def test_the_table_in_the_documentation_is_what_comes_of_it() -> None:
    before, _, rest = DOCS.read_text(encoding="utf-8").partition(BEGIN)
    assert before
    assert rest.partition(END)[0] == f"\n{await measured()}\n"


if __name__ == "__main__":
    before, _, rest = DOCS.read_text(encoding="utf-8").partition(BEGIN)
    DOCS.write_text(f"{before}{BEGIN}\n{asyncio.run(measured())}\n{END}{rest.partition(END)[2]}", encoding="utf-8")
