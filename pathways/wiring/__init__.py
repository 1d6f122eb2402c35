"""Wirings: functions that lay out the steps of a path, named in one table.

Each takes `inputs`, by name the port of each, and plain data; it returns a headless path of drafts. In YAML a root is
`wiring: {NAME: {settings}}`.
"""

from __future__ import annotations

WIRINGS: dict[str, str] = {
    "bottleneck": "bottleneck:bottleneck",
    "cache": "cache:cache",
    "co_attention": "co_attention:co_attention",
    "early_fusion": "fusion:early",
    "frozen_trunk": "frozen_trunk:frozen_trunk",
    "group": "group:group",
    "late_fusion": "fusion:late",
    "middle_fusion": "fusion:middle",
    "mixed_decoder": "encoder_decoder:mixed_decoder",
    "task_queries": "encoder_decoder:task_queries",
    "two_stream": "two_stream:two_stream",
    "two_tower": "two_tower:two_tower",
}
"""By name, the file in this folder and the function."""

__all__ = ["WIRINGS"]
