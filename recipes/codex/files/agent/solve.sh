#!/bin/sh
# Runs Codex on the task. Its rules are in AGENTS.md beside this file.
set -u
here=$(dirname "$0")
limit=$(( ${RATCHET_SECONDS%.*} > 20 ? ${RATCHET_SECONDS%.*} - 10 : 10 ))

export HOME=/tmp/home CODEX_HOME=/tmp/home/codex
mkdir -p "$CODEX_HOME"
cp "$here/AGENTS.md" "$CODEX_HOME/AGENTS.md"
sed "s|BASE_URL|$OPENAI_BASE_URL|" "$here/config.toml" > "$CODEX_HOME/config.toml"

exec timeout -k 5 "$limit" codex exec --json --skip-git-repo-check --dangerously-bypass-approvals-and-sandbox \
    --model "$RATCHET_MODEL" - < /task/instruction.md
