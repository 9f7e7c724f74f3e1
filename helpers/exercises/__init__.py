"""Exercises of the notebooks: `exercise("02-mask")` gives check, hint and solution."""

from helpers.exercises.core import Exercise, Verdict, exercise

__all__ = ["Exercise", "Verdict", "exercise"]
