"""One module for each verb of the command line, imported only when its verb runs.

Each has `run(root, options) -> int`, the exit code.
"""
