"""On a private SLURM: real daemons, real jobs. `make verify-cluster`."""
