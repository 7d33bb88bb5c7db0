"""The substrate: what carries the control plane's wishes to the data plane; it knows nothing of any stage."""
