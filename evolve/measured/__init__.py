"""What a study measures with trainings of its own or from trained networks: one estimator is one file.

Each is a function from a `Session` and keyword settings to an `Affinity` with a repeat for each seed; `table.py` names
them all. What a candidate can train is trained as candidates, so the ledger keeps it and every engine can do it.
"""
