"""A private SLURM on this machine: real daemons from the distribution's packages, for tests and for newcomers."""
