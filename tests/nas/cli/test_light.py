"""Costing, retraining and using a network need neither Ray nor Optuna nor MLflow nor DICOM."""

import subprocess
import sys

BLOCKED = """
import sys
for name in ("ray", "optuna", "mlflow", "pydicom", "highdicom"):
    sys.modules[name] = None  # importing it raises ImportError
import nas.export.deploy.open_segmenter, nas.export.retrain, trainers.evaluate, trainers.predict
from nas.cli.main import main
sys.exit(main(["cost", "hybrid-s", "--input", "1x32x32x32", "--classes", "3"]))
"""


def test_cost_and_retraining_run_without_the_search_libraries() -> None:
    done = subprocess.run([sys.executable, "-c", BLOCKED], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "19,579 parameters" in done.stdout
