"""Values, files and text that every other package builds on; it imports none of them."""
