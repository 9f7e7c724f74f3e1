"""Where what computes long runs: on this machine, or on the nodes of a cluster."""
