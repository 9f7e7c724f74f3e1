"""The small library behind the course's notebooks.

Importing this package loads nothing heavy: neither PyTorch nor transformers,
and not even the openai client. Import the module that you need::

    from helpers.client import connect
    course = connect()
"""

__version__ = "0.1.0"
