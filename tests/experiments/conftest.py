"""Commands write reports, whose pictures take longer than what is tested here."""

import pytest


@pytest.fixture(scope="module", autouse=True)
def _commands_draw_nothing(blank_pictures):
    """Reports have blank pictures; what is drawn is tested where it is made, and in the browser."""
