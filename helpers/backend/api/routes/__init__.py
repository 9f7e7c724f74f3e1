"""One module for each part of the API; a route translates and decides nothing."""
