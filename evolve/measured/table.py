"""The one table of estimators that a study measures beside its joint training."""

from __future__ import annotations

from pathways.affinity.matrix import Kind

MEASURED: dict[str, str] = {
    "pairs": "pairs:pairs",
    "linearised": "linearised:linearised",
    "transfer": "transfer:transfer",
    "h_score": "transferability:h_score",
    "logme": "transferability:logme",
    "trans_rate": "transferability:trans_rate",
    "leep": "transferability:leep",
    "nce": "transferability:nce",
    "task2vec": "task2vec:task2vec",
    "relevance": "relevance:relevance",
    "dependence": "dependence:dependence",
}
"""By name, a file here and its function from a `Session` and keyword settings to an `Affinity`."""

KINDS: dict[str, Kind] = {"pairs": "co-training", "linearised": "co-training", "dependence": "dependence"}
"""Of what kind a matrix is that is not of kind transfer."""

OF_CLASSES = ("leep", "nce", "trans_rate")
"""What is defined for tasks of classes only."""

OF_ONE_INPUT = ("linearised",)
"""What reads tasks of one unmasked input, with classes or one value as targets."""

OF_ONE_ANSWER = ("linearised", "transfer", "h_score", "logme", "task2vec", "relevance")
"""What reads one feature vector and one target a sample, so neither sequences nor spans."""

__all__ = ["KINDS", "MEASURED", "OF_CLASSES", "OF_ONE_ANSWER", "OF_ONE_INPUT"]
