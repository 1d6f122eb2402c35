"""Families between what tasks give and what paths read, and between paths and answers: one file each."""
