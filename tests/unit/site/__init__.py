"""The examination of a site."""
