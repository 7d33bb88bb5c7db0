"""Fault tests: the engine's own poller, sweeper and store on a real file system that fails, call after call."""
