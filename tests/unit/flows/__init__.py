"""Flows decide in functions that need no server."""
