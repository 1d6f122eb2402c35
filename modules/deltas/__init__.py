"""Deltas: changes inside a frozen module for one task or condition; one file each."""
