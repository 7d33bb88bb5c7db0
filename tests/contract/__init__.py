"""Contracts that several implementations of one protocol keep."""
