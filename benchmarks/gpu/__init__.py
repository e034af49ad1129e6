"""Kernels counted without a GPU, and the parts of `on_gpu.py`, which yield rows as they measure."""
