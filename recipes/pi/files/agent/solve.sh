#!/bin/sh
# Runs pi on the task.
set -u
here=$(dirname "$0")
limit=$(( ${RATCHET_SECONDS%.*} > 20 ? ${RATCHET_SECONDS%.*} - 10 : 10 ))

export PI_CODING_AGENT_DIR=/tmp/pi
mkdir -p "$PI_CODING_AGENT_DIR"
sed -e "s|BASE_URL|$OPENAI_BASE_URL|" -e "s|MODEL|$RATCHET_MODEL|" "$here/models.json" > "$PI_CODING_AGENT_DIR/models.json"

timeout -k 5 "$limit" pi -p --mode json --no-session --provider box --model "$RATCHET_MODEL" \
    --append-system-prompt "$(cat "$here/system.md")" "$(cat /task/instruction.md)" < /dev/null |
    grep -v '"type":"message_update"'
