"""One page about an analysis: what it is, what it was made of, and how far it can be trusted.

Conducts the rooms of verification, diagnostics and pictures; calculates little itself, and
knows no torch.
"""
