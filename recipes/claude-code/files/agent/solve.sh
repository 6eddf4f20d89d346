#!/bin/sh
# Runs Claude Code on the task.
set -u
here=$(dirname "$0")
limit=$(( ${RATCHET_SECONDS%.*} > 20 ? ${RATCHET_SECONDS%.*} - 10 : 10 ))

export HOME=/tmp/home
mkdir -p "$HOME"
export ANTHROPIC_DEFAULT_HAIKU_MODEL="$RATCHET_MODEL" ANTHROPIC_DEFAULT_SONNET_MODEL="$RATCHET_MODEL"
export ANTHROPIC_DEFAULT_OPUS_MODEL="$RATCHET_MODEL" CLAUDE_CODE_SUBAGENT_MODEL="$RATCHET_MODEL"

exec timeout -k 5 "$limit" claude -p --model "$RATCHET_MODEL" --append-system-prompt "$(cat "$here/system.md")" \
    --output-format stream-json --verbose --dangerously-skip-permissions \
    --disallowedTools WebSearch WebFetch < /task/instruction.md
