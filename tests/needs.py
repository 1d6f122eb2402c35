"""What a test needs that is not everywhere: without it the test is skipped with the reason, but not where it must run.

`PATHWAYS_TESTS_NEED=ray,postgresql` names what must be there, as CI does: then a lack is a failure.
"""

from __future__ import annotations

import os
from typing import NoReturn

import pytest


def lack(what: str, reason: str) -> NoReturn:
    """Skip this test since `what` is not there; fail where it must be."""
    if what in os.environ.get("PATHWAYS_TESTS_NEED", "").split(","):
        pytest.fail(f"{what} must be there, as PATHWAYS_TESTS_NEED says, found: {reason}")
    pytest.skip(f"without {what}: {reason}")
