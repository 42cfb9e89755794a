"""What an oceanographer looks at: heat content, isotherms, indices, trends, modes.

Works on a control run, a truth or an analysis alike, with or without members; a
result keeps the dimension of the members, and :func:`xdeepda.over_members` turns
it into a mean with an error bar.  Knows xarray, numpy, scipy and gsw; no torch.
"""
