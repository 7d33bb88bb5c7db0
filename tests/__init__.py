"""Tests, by question: unit, simulation, contract, end_to_end, repository."""
