"""Who proposes architectures: samplers, and what is tried first."""
