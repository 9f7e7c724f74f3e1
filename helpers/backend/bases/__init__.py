"""Base models: which this machine has, what is wrong with the others, and what each needs."""
