"""Trained networks of others as roots: split into modules of a pool, bit for bit what they were.

>>> from pathways import pretrained
>>> pretrained.__all__[0]
'Bert'
"""

from __future__ import annotations

from .hugging_face import GPT2, Bert, ViT, bert, gpt2, vit
from .split import split
from .submodule import Submodule
from .vision import Vision, vision

__all__ = ["Bert", "GPT2", "Submodule", "ViT", "Vision", "bert", "gpt2", "split", "vision", "vit"]
