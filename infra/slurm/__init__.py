"""The SLURM work pool: a Prefect worker that owns its runs' states, and the transports that carry its jobs."""
