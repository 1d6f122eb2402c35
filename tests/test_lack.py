"""Tests that cannot run are skipped, but not where they must run."""

import needs
import pytest


def test_what_is_not_there_skips(monkeypatch):
    monkeypatch.setenv("PATHWAYS_TESTS_NEED", "other")
    with pytest.raises(pytest.skip.Exception, match=r"without ray: cannot start"):
        needs.lack("ray", "cannot start")


def test_what_must_be_there_fails(monkeypatch):
    monkeypatch.setenv("PATHWAYS_TESTS_NEED", "postgresql,ray")
    with pytest.raises(pytest.fail.Exception, match=r"ray must be there"):
        needs.lack("ray", "cannot start")
