"""Flows against a real Prefect server; no worker, so what they ask for is looked at and never starts."""
