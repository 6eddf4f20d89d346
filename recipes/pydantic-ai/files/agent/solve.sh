#!/bin/sh
# Runs agent.py on the task, and ends it before the box's time is over.
set -u
here=$(dirname "$0")
limit=$(( ${RATCHET_SECONDS%.*} > 20 ? ${RATCHET_SECONDS%.*} - 10 : 10 ))

exec timeout -k 5 "$limit" python3 -P "$here/agent.py"
