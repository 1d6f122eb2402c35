"""The search: strategies, mutations, scores and engines."""
