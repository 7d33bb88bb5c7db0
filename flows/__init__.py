"""The control plane: thin flows that look, decide and ask; they never touch a dataset's payload."""
