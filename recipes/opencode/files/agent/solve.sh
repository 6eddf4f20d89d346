#!/bin/sh
# Runs opencode on the task. Its rules are in rules.md beside this file.
set -u
here=$(dirname "$0")
limit=$(( ${RATCHET_SECONDS%.*} > 20 ? ${RATCHET_SECONDS%.*} - 10 : 10 ))

export HOME=/tmp/home
mkdir -p "$HOME"
OPENCODE_CONFIG_CONTENT=$(sed -e "s|BASE_URL|$OPENAI_BASE_URL|" -e "s|MODEL|$RATCHET_MODEL|" "$here/opencode.json")
export OPENCODE_CONFIG_CONTENT

exec timeout -k 5 "$limit" opencode run --format json "$(cat /task/instruction.md)" < /dev/null
