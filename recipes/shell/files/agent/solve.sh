#!/bin/sh
# An agent in a shell script: the model answers with a script in a fenced block, we run it and show what it printed,
# until an answer has no script.
set -u
here=$(dirname "$0")
steps=15
end=$(( $(date +%s) + ${RATCHET_SECONDS%.*} - 10 ))
talk=/tmp/talk.json

left() { # seconds until we must be done, never less than one
    now=$(date +%s)
    echo $(( end > now ? end - now : 1 ))
}

say() { # ROLE FILE: add a message to the conversation
    jq --arg role "$1" --rawfile text "$2" '. + [{role: $role, content: $text}]' "$talk" > "$talk.new" && mv "$talk.new" "$talk"
}

ask() { # the model's answer on stdout
    jq --arg model "$RATCHET_MODEL" '{model: $model, messages: .}' "$talk" > /tmp/request.json
    curl --silent --show-error --fail-with-body --max-time "$(left)" -H 'content-type: application/json' \
        -H "authorization: Bearer $OPENAI_API_KEY" --data-binary @/tmp/request.json \
        "$OPENAI_BASE_URL/chat/completions" > /tmp/answer.json || { cat /tmp/answer.json >&2; return 1; }
    jq -r '.choices[0].message.content // ""' /tmp/answer.json
}

echo '[]' > "$talk"
say system "$here/system.md"
{ cat /task/instruction.md; printf '\nFiles in the current folder:\n'; find . -type f ! -path './.git/*' | sort | head -n 100; } > /tmp/task.md
say user /tmp/task.md

while [ "$steps" -gt 0 ] && [ "$(left)" -gt 1 ]; do
    steps=$((steps - 1))
    ask > /tmp/answer.md || exit 1
    cat /tmp/answer.md
    say assistant /tmp/answer.md
    awk '/^```/ { if (inside) exit; inside = 1; next } inside' /tmp/answer.md > /tmp/script.sh
    [ -s /tmp/script.sh ] || exit 0
    timeout "$(left)" sh /tmp/script.sh > /tmp/output 2>&1
    { printf 'exit code %s\n' "$?"; tail -c 10000 /tmp/output; } | tee /tmp/result.md
    say user /tmp/result.md
done
