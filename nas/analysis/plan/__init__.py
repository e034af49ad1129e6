"""A configuration for a folder of data, with the reason for every value."""

from nas.analysis.plan.make_plan import Plan, make_plan

__all__ = ["Plan", "make_plan"]
