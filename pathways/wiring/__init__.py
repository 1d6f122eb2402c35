"""Wirings: functions that lay out the steps of a path, named in one table."""

from __future__ import annotations

WIRINGS: dict[str, str] = {}

__all__ = ["WIRINGS"]
