"""Pytest puts the folder of this file on the import path: tests in folders below find `findings_for_tests` there."""
