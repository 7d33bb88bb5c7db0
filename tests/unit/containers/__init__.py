"""Container runtimes and images, without either."""
