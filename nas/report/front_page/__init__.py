"""The front as one self-contained interactive HTML page: works offline and in MLflow's viewer."""

from nas.report.front_page.page import front_page
from nas.report.front_page.text import compact

__all__ = ["compact", "front_page"]
