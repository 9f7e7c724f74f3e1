"""HTTP: the application and its routes, which translate and decide nothing."""
