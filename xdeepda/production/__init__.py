"""Assimilations that are long or of several models: cycling in step, stores that resume.

``cycling`` takes the models through the cycles, ``models`` combines them, ``store`` and
``restart`` write as it goes, so that a run that was killed goes on to the same bits.
"""
