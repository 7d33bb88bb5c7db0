"""Containers: what a job's command runs in (DESIGN 6), and the images that are made for it. Knows no stage."""
