"""The tasks of the notebooks, a module each, with what checks and explains them."""
