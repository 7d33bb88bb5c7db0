"""The demo: real datasets through all stages, by pollers that know nothing of each other."""
