import io

from rich.console import Console

from nas.cli.evaluation_table import evaluation_tables
from tests.trainers.oracle import segmenter, write_cases
from trainers.evaluate import evaluate_folder


def test_a_class_called_all_classes_has_a_row_of_its_own(tmp_path):
    folder = write_cases(tmp_path)
    network = segmenter(classes=("background", "dice", "all classes"))
    found = evaluate_folder(network, folder / "images", folder / "labels")
    means, worst = evaluation_tables(found)
    assert list(means.columns[0].cells) == ["dice", "all classes", "all classes"]
    console = Console(file=io.StringIO(), width=200)
    console.print(worst)
    assert "1.0000" in console.file.getvalue()
