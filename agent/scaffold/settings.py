"""The choices of the single-shot path, and which path is taken.

A constant whose comment begins `integer LOW..HIGH:`, `integer LOW..HIGH by STEP:` or `one of: A, B:` may be changed
by the smallest improver too; keep that form, on one line.
"""

SAMPLES = 1  # integer 1..8: answers drawn for a task; the first that passes the visible examples is handed in
RETRIES = 0  # integer 0..4: further tries after wrong answers, each shown the example that failed
SHOT = 0  # integer 0..1: 1 puts a worked example before the task
TEMPERATURE = 80  # integer 0..150 by 10: randomness of the answers in per cent
EXTRACT = "fence"  # one of: raw, fence, compile: the whole reply, its code block, or what compiles of that

MAX_TOKENS = 160  # longest answer
INCLUDE_STUB = True  # whether the prompt shows the starting file
MODE = "auto"  # auto goes by the model's window; "single" and "agent" force a path
WEAK_WINDOW = 8192  # a model with fewer tokens of context than this takes the single-shot path
