"""What is wrong with a training file, with line and remedy."""
