"""Named steps over a table, each of which says what it changed."""
