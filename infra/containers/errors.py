"""Errors of images that a person reads: what, where, and what to type next."""

from __future__ import annotations


class BuildError(Exception):
    """The image cannot be built; its text says why and what to do."""
