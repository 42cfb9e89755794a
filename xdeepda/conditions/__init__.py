"""Initial conditions: an analysis on the grid of a model that is to start from it."""

from xdeepda.conditions.verb import initial_conditions

__all__ = ["initial_conditions"]
