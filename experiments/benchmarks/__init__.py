"""Benchmarks: each runs both sides in turns on the same work and data, and gives ratios, not times."""
