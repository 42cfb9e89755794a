"""Classical schemes behind the same verbs: fitted, saved and used like a Model."""

from xdeepda.baselines.simple import climatology, persistence

__all__ = ["climatology", "persistence"]
