"""The engine on a simulated disk, in every order of calls."""
