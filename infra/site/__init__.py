"""A site examined: is all here, and on a compute node, that the deployments need (`phaseline doctor --site`)."""
