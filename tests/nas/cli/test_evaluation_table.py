import io

import pytest
from rich.console import Console

from nas.cli.evaluation_table import evaluation_tables
from nas.cli.main import main
from tests.trainers.oracle import segmenter, write_cases
from trainers.evaluate import evaluate_folder
from trainers.metric_names import METRICS


def test_a_class_called_all_classes_has_a_row_of_its_own(tmp_path):
    folder = write_cases(tmp_path)
    network = segmenter(classes=("background", "dice", "all classes"))
    found = evaluate_folder(network, folder / "images", folder / "labels")
    means, worst = evaluation_tables(found, METRICS)
    assert list(means.columns[0].cells) == ["dice", "all classes", "all classes"]
    console = Console(file=io.StringIO(), width=200)
    console.print(worst)
    assert "1.0000" in console.file.getvalue()


def test_the_table_has_the_columns_that_were_asked_for(tmp_path):
    folder = write_cases(tmp_path)
    found = evaluate_folder(segmenter(), folder / "images", folder / "labels", tolerance=2.5)
    means, _ = evaluation_tables(found, ("accuracy", "nsd", "hd_mm"))
    heads = [column.header for column in means.columns]
    assert heads == ["class", "accuracy", "NSD 2.5 mm", "HD mm", "cases"]


def test_an_unknown_column_is_refused_with_those_there_are(capsys):
    with pytest.raises(SystemExit):
        main(["evaluate", "net", "--images", "a", "--labels", "b", "--columns", "dice,precision"])
    assert "'precision'; expected some of dice, iou" in capsys.readouterr().err
