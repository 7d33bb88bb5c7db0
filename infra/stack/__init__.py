"""The local stack: a Prefect server, its work pools and deployments, and a worker for each pool, on this machine."""
