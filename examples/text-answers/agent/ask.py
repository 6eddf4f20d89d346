"""Ask the model once and write down what it says."""

import json
import os
import re
import urllib.request
from pathlib import Path

here = Path(__file__).parent
question = Path("/task/instruction.md").read_text()
body = {
    "model": os.environ["RATCHET_MODEL"],
    "messages": [{"role": "user", "content": (here / "prompt.md").read_text().replace("{question}", question)}],
    "max_tokens": 60,
    "temperature": 0,
}
request = urllib.request.Request(
    os.environ["OPENAI_BASE_URL"] + "/chat/completions",
    json.dumps(body).encode(),
    {"content-type": "application/json", "authorization": "Bearer " + os.environ["OPENAI_API_KEY"]},
)
with urllib.request.urlopen(request) as response:
    said = json.load(response)["choices"][0]["message"]["content"] or ""
print(said)
numbers = re.findall(r"-?\d+", said)
Path("answer.txt").write_text(numbers[-1] if numbers else said.strip())
