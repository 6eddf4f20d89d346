"""campaign.yaml: every mistake is one line that names the field and the fix."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from agent.base.errors import UserError
from agent.config.campaign import Config, load_config
from agent.config.explaining import RENAMED
from agent.config.template import render_template

GOOD = "suite: tasks/starter\nmodels:\n  solver: {provider: embedded}\n  improver: {provider: embedded}\n"


def write(folder: Path, text: str) -> Path:
    path = folder / "campaign.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_shortest_file_gets_safe_defaults(tmp_path: Path) -> None:
    config = load_config(write(tmp_path, GOOD))
    assert config.gate == "proven"
    assert config.budget.hours == 8.0
    assert config.suite == tmp_path / "tasks" / "starter"
    assert config.folder == tmp_path / "runs" / "campaign"


def test_the_commented_template_says_exactly_the_defaults(tmp_path: Path) -> None:
    written = load_config(write(tmp_path, render_template()))
    assert written == load_config(write(tmp_path, GOOD.replace("tasks/starter", "starter")))


@pytest.mark.parametrize(
    ("text", "field", "hint"),
    [
        (GOOD + "gaet: proven\n", "gaet", "'gate'"),
        (GOOD + "budget: {houres: 3}\n", "budget.houres", "'hours'"),
        (GOOD + "boxes: {memroy_mb: 512}\n", "boxes.memroy_mb", "'memory_mb'"),
        (GOOD.replace("{provider: embedded}", "{provider: embedded, modle: x}", 1), "models.solver", "'model'"),
        (GOOD + "gate: maybe\n", "gate", "proven"),
        (GOOD + "budget: {hours: -1}\n", "budget.hours", "greater than 0"),
        (GOOD + "budget: {hours: .nan}\n", "budget.hours", "finite"),
        (GOOD + "budget: {hours: null}\n", "budget", "never end"),
        (GOOD + "name: ../evil\n", "name", "cannot name a branch"),
        (GOOD + "executor: {resources: {GPU: 1}}\n", "executor.resources", "boxes.cpus"),
        (GOOD + "search: {shown: 0}\n", "search.shown", "greater than 0"),
        (GOOD + "gate_options: {alpha: 5.0e-324}\n", "gate_options.alpha", "too small"),
        (GOOD + f"gate_options: {{spending: '1{'0' * 400}'}}\n", "gate_options.spending", "too large"),
        (GOOD + "scaffold: {build: [ADD a b]}\n", "scaffold.build.0", "Begin with RUN"),
        (GOOD + "seed: -1\n", "seed", "of at least 0"),
        (GOOD.replace("suite: tasks/starter\n", ""), "suite", "Add it"),
        ("suite: [\n", "campaign.yaml", "YAML"),
        ("- 1\n", "campaign.yaml", "mapping"),
        (GOOD + "suite: other\n", "campaign.yaml", "duplicate"),
    ],
)
def test_a_mistake_is_one_line_with_its_field_and_its_fix(tmp_path: Path, text: str, field: str, hint: str) -> None:
    with pytest.raises(UserError) as error:
        load_config(write(tmp_path, text))
    assert field in error.value.field
    assert hint in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("old", "new"), RENAMED.items())
def test_a_renamed_key_is_an_error_that_names_the_new_one(tmp_path: Path, old: str, new: str) -> None:
    section, key = old.split(".")
    with pytest.raises(UserError, match="renamed") as error:
        load_config(write(tmp_path, f"{GOOD}{section}: {{{key}: 1}}\n"))
    assert error.value.field.endswith(old)
    assert f"`{new}`" in error.value.fix


def test_a_renamed_key_is_in_the_configuration_under_its_new_name_only() -> None:
    keys = set(all_keys(Config))
    assert not keys & RENAMED.keys()
    assert set(RENAMED.values()) <= keys


def test_every_key_is_described() -> None:
    fields = all_keys(Config)
    assert len(fields) > 40
    for name, field in fields.items():
        if not isinstance(field.default, BaseModel) and name != "models":
            assert field.description, name


def all_keys(model: type[BaseModel], above: str = "") -> dict[str, FieldInfo]:
    found: dict[str, FieldInfo] = {}
    for name, field in model.model_fields.items():
        found[above + name] = field
        if isinstance(field.default, BaseModel):
            found |= all_keys(type(field.default), f"{above}{name}.")
    return found


def test_options_of_the_command_line_win(tmp_path: Path) -> None:
    config = load_config(write(tmp_path, GOOD), {"name": "other", "budget.trials": 7})
    assert (config.name, config.budget.trials, config.budget.hours) == ("other", 7, 8.0)


def test_the_files_of_models_are_relative_to_the_configuration(tmp_path: Path) -> None:
    scripted = GOOD.replace("{provider: embedded}", "{provider: scripted, script: answers.yaml}", 1)
    (model,) = load_config(write(tmp_path, scripted)).models.of("solver")
    assert model.script == tmp_path / "answers.yaml"


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no-such"):
        load_config(tmp_path / "no-such.yaml")
