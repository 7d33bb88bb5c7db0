"""The demo, without its show."""
