"""The embedded server: OpenAI's API, real training and real inference on this machine."""
