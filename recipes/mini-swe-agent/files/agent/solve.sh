#!/bin/sh
# Runs mini-swe-agent on the task. Its prompts and limits are in agent.yaml beside this file.
set -u
here=$(dirname "$0")
limit=$(( ${RATCHET_SECONDS%.*} > 20 ? ${RATCHET_SECONDS%.*} - 10 : 10 ))

exec timeout -k 5 "$limit" mini -c "$here/agent.yaml" -m "openai/$RATCHET_MODEL" -y --exit-immediately \
    -o /tmp/trajectory.json -t "$(cat /task/instruction.md)"
