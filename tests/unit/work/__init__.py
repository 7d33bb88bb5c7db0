"""Tests of the package that runs the author's code."""
