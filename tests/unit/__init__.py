"""Each part by itself, without processes or clocks of its own."""
