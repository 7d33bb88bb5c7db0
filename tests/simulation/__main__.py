"""Prints the figures for docs: what was explored, how far, and what came of it."""
