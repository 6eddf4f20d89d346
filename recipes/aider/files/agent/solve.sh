#!/bin/sh
# Runs aider on the task, with the workspace's small text files in its chat.
set -u
here=$(dirname "$0")
limit=$(( ${RATCHET_SECONDS%.*} > 20 ? ${RATCHET_SECONDS%.*} - 10 : 10 ))

find . -type f -size -64k ! -path './.*' ! -path '*/node_modules/*' ! -path '*/__pycache__/*' | sort | head -n 40 > /tmp/files
set -- .aider.root # an empty file: names start from the folder that all files share, and that must be this one
: > .aider.root
while IFS= read -r file; do
    grep -qI . "$file" && set -- "$@" "$file"
done < /tmp/files

timeout -k 5 "$limit" aider --model "openai/$RATCHET_MODEL" --openai-api-base "$OPENAI_BASE_URL" \
    --yes-always --no-git --no-gitignore --no-check-update --analytics-disable --no-show-model-warnings \
    --no-show-release-notes --no-pretty --no-detect-urls --disable-playwright --no-suggest-shell-commands \
    --input-history-file /tmp/aider.input --chat-history-file /tmp/aider.chat --llm-history-file /tmp/aider.llm \
    --read "$here/conventions.md" --message-file /task/instruction.md "$@"
status=$?
rm -f .aider.root
exit "$status"
