"""Hand a dataset to another host or trainer: what it carries, the rows, what trains them."""
