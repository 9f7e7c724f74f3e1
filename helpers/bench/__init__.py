"""Measurements of the course's own claims, each against another tool or a bound."""
