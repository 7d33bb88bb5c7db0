"""The private cluster's decisions, as text."""
