"""The data plane: the engine and one folder per stage."""
