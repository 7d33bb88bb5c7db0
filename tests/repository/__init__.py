"""Is the repository what it says it is: imports, style, locks, base install, wheel, transcripts."""
