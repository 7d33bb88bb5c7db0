"""The worker of type slurm, without a server, processes or a cluster."""
