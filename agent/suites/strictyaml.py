"""YAML as people mean it: no aliases, no merge keys, no duplicate keys, nothing but plain data.

Raises UserError with file and line for each of them, so that one mistake never becomes a silent default.
"""

from __future__ import annotations

from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from agent.kernel.errors import UserError

MAX_BYTES = 16 << 20
MAX_DEPTH = 32


class _Strict(yaml.SafeLoader):
    """SafeLoader that refuses what makes a file mean other than it reads."""

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise yaml.MarkedYAMLError(problem="anchors and aliases are not allowed", problem_mark=event.start_mark)
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise yaml.MarkedYAMLError(problem="nested too deeply", problem_mark=event.start_mark)
        try:
            return super().compose_node(parent, index)
        finally:
            self.depth -= 1

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":
                raise yaml.MarkedYAMLError(problem="merge keys are not allowed", problem_mark=key_node.start_mark)
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str):
                problem = f"key {key!r} is not text; put it in quotes"
                raise yaml.MarkedYAMLError(problem=problem, problem_mark=key_node.start_mark)
            if key in seen:
                raise yaml.MarkedYAMLError(problem=f"duplicate key {key!r}", problem_mark=key_node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep=deep)


def load(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file.

    Raises:
        UserError: no such file, too large, not UTF-8, malformed, or not a mapping.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise UserError(str(path), f"cannot be read ({error.strerror})", "Name a file that exists.") from error
    if len(raw) > MAX_BYTES:
        raise UserError(str(path), f"larger than {MAX_BYTES >> 20} MiB", "Split the file.")
    try:
        # Not yaml.safe_load: _Strict is a SafeLoader with more refusals.
        value = yaml.load(raw.decode(), Loader=_Strict)  # noqa: S506
    except UnicodeDecodeError as error:
        raise UserError(str(path), f"not UTF-8 text at byte {error.start}", "Save it as UTF-8.") from error
    except yaml.MarkedYAMLError as error:
        line = f" line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise UserError(f"{path}{line}", str(error.problem), "Mend the YAML there.") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise UserError(str(path), f"not readable as YAML ({error})", "Mend the YAML.") from error
    if not isinstance(value, dict):
        raise UserError(str(path), "holds no mapping", "Write `key: value` lines.")
    return value
