"""The front as one self-contained interactive HTML page: works offline and in MLflow's viewer."""

from nas.report.front_page.page import front_page

__all__ = ["front_page"]
