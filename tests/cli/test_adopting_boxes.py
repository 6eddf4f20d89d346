"""Agents that must be built, in real boxes: what `init` proposes builds without a network, starts, and is improved."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from agent.base import yaml
from tests.agreed import task
from tests.cli.test_adopting import repository
from tests.cli.test_init import git, ratchet

pytestmark = [pytest.mark.slow, pytest.mark.docker]
PROMPT = "Answer with the file."
MARK = "Be exact."

TYPESCRIPT = r"""
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

async function main(): Promise<void> {
  const prompt: string = readFileSync(fileURLToPath(new URL("../src/prompt.md", import.meta.url)), "utf8");
  const task: string = readFileSync("/task/instruction.md", "utf8");
  const messages = [{ role: "user", content: `${prompt}\n${task}` }];
  const answer = await fetch(`${process.env.OPENAI_BASE_URL}/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ model: process.env.RATCHET_MODEL, messages }),
  });
  const said = await answer.json() as { choices: { message: { content: string } }[] };
  const text: string = said.choices[0].message.content;
  console.log(text);
  writeFileSync("solution.py", /```\w*\n([\s\S]*?)```/.exec(text)?.[1] ?? text);
}

main();
"""
PACKAGE = {
    "name": "mine",
    "version": "1.0.0",
    "type": "module",
    "bin": {"mine": "./dist/main.js"},
    "scripts": {"build": "tsc", "prepare": "exit 1"},
    "devDependencies": {"typescript": "5.9.3", "@types/node": "22.18.1"},
}
LOCK = {
    "name": "mine",
    "version": "1.0.0",
    "lockfileVersion": 3,
    "requires": True,
    "packages": {
        "": {key: PACKAGE[key] for key in ("name", "version", "devDependencies")},
        "node_modules/typescript": {"version": "5.9.3", "dev": True, "bin": {"tsc": "bin/tsc"}},
        "node_modules/@types/node": {"version": "22.18.1", "dev": True, "dependencies": {"undici-types": "~6.21.0"}},
        "node_modules/undici-types": {"version": "6.21.0", "dev": True},
    },
}
OPTIONS = {"module": "nodenext", "target": "es2022", "outDir": "dist", "rootDir": "src", "strict": True}
AGENTS = {
    "typescript": {
        "src/main.ts": TYPESCRIPT,
        "src/prompt.md": f"{PROMPT}\n",
        "package.json": json.dumps(PACKAGE),
        "package-lock.json": json.dumps(LOCK),
        "tsconfig.json": json.dumps({"compilerOptions": OPTIONS, "include": ["src"]}),
    },
    "go": {
        "go.mod": "module mine\n\ngo 1.19\n",
        "main.go": 'package main\n\nimport "os"\n\nfunc main() {\n\tprintln("done")\n'
        '\tos.WriteFile("solution.py", []byte("x = 1\\n"), 0o644)\n}\n',
    },
    "rust": {
        "Cargo.toml": '[package]\nname = "mine"\nversion = "0.1.0"\nedition = "2021"\n',
        "src/main.rs": 'fn main() {\n    println!("done");\n'
        '    std::fs::write("solution.py", "x = 1\\n").unwrap();\n}\n',
    },
}
SCRIPT = {
    "rules": [
        {"match": "exit code 0", "reply": "Done."},
        {
            "match": "Improve an agent",
            "reply": f"```sh\necho '{MARK}' >> src/prompt.md\nprintf 'Ask for exact work\\n' > PATCH.md\n```",
        },
        {"match": MARK, "reply": "```python\nx = 1\n```"},
        {"reply": "```python\nx = 2\n```"},
    ]
}


def adopted(folder: Path, language: str) -> Path:
    """An agent in its repository, with a suite, as `init` takes it; its model is a script."""
    tasks = [task(n, split, deterministic=split == "gate") for split in ("search", "gate", "holdout") for n in range(2)]
    suite = json.dumps({"name": "agreed", "tasks": tasks})
    made = repository(folder / language, {**AGENTS[language], "evals/suite.yaml": suite})
    done = ratchet(folder, "init", "--agent", language)
    assert done.returncode == 0, done.stderr
    (made / "script.yaml").write_text(json.dumps(SCRIPT))
    text = (made / "campaign.yaml").read_text()
    (made / "campaign.yaml").write_text(
        text.replace("{provider: embedded}", "{provider: scripted, script: script.yaml}")
    )
    return made


@pytest.mark.parametrize("language", AGENTS)
def test_an_agent_that_must_be_built_is_built_and_starts(language: str, tmp_path: Path) -> None:
    made = adopted(tmp_path, language)
    doctor = ratchet(made, "doctor", seconds=1800)
    assert doctor.returncode == 0, doctor.stdout + doctor.stderr
    found = [line.split(maxsplit=2)[2] for line in doctor.stdout.splitlines() if line[5:].startswith("agent ")]
    assert {"starts", "its edits are kept", "prints a transcript"} <= set(found)


def test_a_typescript_agent_gets_its_first_proven_patch(tmp_path: Path) -> None:
    made = adopted(tmp_path, "typescript")
    given = yaml.load(made / "campaign.yaml")
    given |= {
        "name": "night",
        "improve": {"recipe": "shell"},
        "search": {"min_trials": 2, "min_z": 0, "parent_trials": 1},
        "gate_options": {"same_pairs": 0, "share": 1.0, "alpha": 0.5, "spending": 1},
        "budget": {"trials": 3000, "hours": 0.5, "commits": 1},
        "boxes": {"parallel": 2, "starved": 1, "canary": 0},
    }
    (made / "campaign.yaml").write_text(json.dumps(given))
    done = ratchet(made, "run", seconds=1200)
    assert done.returncode == 0, done.stdout + done.stderr
    assert git(made, "log", "-1", "--format=%s", "ratchet/night") == "Ask for exact work\n", done.stdout
    assert git(made, "diff", "--name-only", "HEAD", "ratchet/night") == "src/prompt.md\n"
    assert len(list((made / "runs/night/prepared").iterdir())) >= 2
