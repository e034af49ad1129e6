"""What a trained network decides on cases, in pictures, and which mechanism earns its cost."""

from nas.analysis.explain.explain_report import explain
from nas.analysis.explain.tables import ablation_table, shares_table
from nas.analysis.explain.write_explain import write_explanation

__all__ = ["ablation_table", "explain", "shares_table", "write_explanation"]
