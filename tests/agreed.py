"""Tasks that are solved by one file which holds what was agreed on, for agents that play a script."""

from __future__ import annotations


def task(
    number: int,
    split: str,
    *,
    file: str = "solution.py",
    holds: str = "x = 1",
    deterministic: bool = False,
    **more: object,
) -> dict[str, object]:
    """One task; its name and its number keep it apart from the others. Only a gate task may be deterministic."""
    check = f"def test():\n    assert open('/workspace/{file}').read().strip() == {holds!r}  # {split} {number}\n"
    return {
        "id": f"{split}-{number}",
        "split": split,
        "instruction": f"Write a file {file} that holds what was agreed on ({split}, {number}).",
        "submit": [file],
        "tests": {"test.py": check},
        "check": ["python3", "-m", "pytest", "-q", "--junitxml=$RATCHET_JUNIT", "test.py"],
        "solution": {file: f"{holds}\n"},
        "junit": 1,
        **({"deterministic": True} if deterministic else {}),
        **more,
    }
