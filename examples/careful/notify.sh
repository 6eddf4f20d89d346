#!/bin/sh
# Gets one event as JSON on its standard input. Replace the last line by your own mail or chat command.
cat >> events.jsonl
