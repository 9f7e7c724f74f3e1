"""Engines that answer and embed. Not for: what a request asks for, see `protocol`."""
