"""Blocks of somebody else's for evolving pathways."""
