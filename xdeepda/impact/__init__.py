"""What observations do to an analysis: influence, degrees of freedom, design of networks."""

from xdeepda.impact.gain import influence
from xdeepda.impact.planning import design
from xdeepda.impact.signal import degrees_of_freedom

__all__ = ["degrees_of_freedom", "design", "influence"]
