"""The whole, with Prefect: real servers, real workers, real pollers."""
