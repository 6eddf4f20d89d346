"""What is wrong with a campaign.yaml is said in plain words: the field, the problem, what to write instead."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.base.errors import UserError
from agent.config.campaign import read_config

MODELS = "models:\n  solver: {provider: embedded}\n  improver: {provider: embedded}\n"


def said(folder: Path, text: str) -> str:
    file = folder / "campaign.yaml"
    file.write_text(text)
    with pytest.raises(UserError) as error:
        read_config(file)
    return str(error.value).removeprefix(f"{file}: ")


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("budget: {hours: -1}", "budget.hours: -1 is too small. Write a number greater than 0."),
        ("budget: {hours: x}", "budget.hours: 'x' is not a number. Write a number."),
        ("budget: {trials: 1.5}", "budget.trials: 1.5 is not a whole number. Write a whole number."),
        ("budget: {hours: null}", "budget: every limit is null, so the campaign would never end. Set one."),
        ("budget: 8", "budget: 8 is not a mapping. Write keys with values there."),
        ("search: {shown: 2}", "search.shown: 2 is too large. Write a number of at most 1."),
        ("approve: maybe", "approve: 'maybe' is unknown. Write 'auto', 'human' or 'flagged'."),
        ("notify: {events: [comit]}", "notify.events.0: 'comit' is unknown. Did you mean 'commit'?"),
        ("notify: {command: mail}", "notify.command: 'mail' is not a list. Write a list: [A, B]."),
        ("commit: {sign: 3}", "commit.sign: 3 is neither true nor false. Write true or false."),
        ("commit: {author: me}", "commit.author: 'me' is not an author. Write `Name <email>`."),
        ("warm_start: 3", "warm_start: 3 is not a path. Write the path of a file or folder."),
        (
            "notify: {webhook: foo}",
            "notify.webhook: 'foo' is not an address. Write https://..., or $NAME for a variable that holds it.",
        ),
        (
            "tripwires: {flags: [netwrok]}",
            "tripwires.flags.0: no kind of flag holds 'netwrok'. Did you mean 'network'?",
        ),
        (
            "improve: {recipe: codx}",
            "improve: there is no recipe 'codx'. Did you mean 'codex'?",
        ),
    ],
)
def test_a_wrong_value_is_named_with_what_to_write(tmp_path: Path, line: str, expected: str) -> None:
    assert said(tmp_path, f"suite: starter\n{MODELS}{line}\n") == expected


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("{model: m}", "models.solver.provider: is missing. Add it."),
        ("embedded", "models.solver: 'embedded' is not a mapping. Write keys with values there."),
        ("{provider: openai}", "models.solver: provider openai needs `model`. Add the model's name at the provider."),
        ("{provider: embedded, threads: 0}", "models.solver.threads: 0 is too small. Write a number greater than 0."),
        ("[{provider: embedded}, {provider: x}]", "models.solver.1.provider: 'x' is unknown."),
        ("{provider: embedded, base_url: x}", "is for openai and anthropic. Remove it."),
        ("[]", "models: role solver has no model. Add one."),
    ],
)
def test_a_wrong_model_is_named_as_the_file_spells_it(tmp_path: Path, model: str, expected: str) -> None:
    text = f"suite: starter\nmodels:\n  solver: {model}\n  improver: {{provider: embedded}}\n"
    assert expected in said(tmp_path, text)


def test_a_kind_of_flag_may_be_named_by_a_part_of_it(tmp_path: Path) -> None:
    file = tmp_path / "campaign.yaml"
    file.write_text(f"suite: starter\n{MODELS}tripwires: {{flags: [Network, programs]}}\n")
    assert read_config(file).tripwires.flags == ("Network", "programs")
