"""The scaffold: the program around the model that a campaign rewrites. Standard library only.

`python3 -m agent.scaffold` runs in a box. It solves a suite task, or improves its own source, by the same contract.
"""
