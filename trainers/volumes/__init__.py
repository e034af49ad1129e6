"""NIfTI files in, arrays for a network, label maps out: one geometry, forth and back.

It knows nothing else of segnas, so that a MONAI Bundle can carry these files as they are. That is
why they import each other relatively.
"""
