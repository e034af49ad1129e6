"""What MLflow shows of a result, whatever its classes are called."""

import pytest

from nas.pareto.result import Result
from nas.tracking.metrics import final_metrics, safe


def test_a_class_called_dice_leaves_the_mean_alone():
    result = Result(
        number=0,
        space="hybrid",
        key="a",
        architecture={},
        state="complete",
        dice=0.5,
        dice_per_class={"dice": 0.25, "mean": 0.75},
    )
    found = final_metrics(result)
    assert (found["dice"], found["dice_dice"], found["dice_mean"]) == (0.5, 0.25, 0.75)


def test_what_a_network_measures_of_itself_does_not_take_the_name_of_an_objective():
    result = Result(
        number=0,
        space="own",
        key="a",
        architecture={},
        state="complete",
        dice=0.5,
        costs={"params": 900, "macs": 4e6},
        measured={"params": 30.0, "dice": 0.9, "alpha": 0.25},
    )
    found = final_metrics(result)
    assert [found[name] for name in ("params", "dice", "alpha")] == [900, 0.5, 0.25]


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("dice_a b", "dice_a b"),
        ("dice_a/b", "dice_a/b"),
        ("dice_größe", "dice_größe"),
        ("dice_a+b", "dice_a_b"),
        ("dice_a/", "dice_a_"),
        ("dice_a//b", "dice_a__b"),
        ("dice_a/../b", "dice_a_.._b"),
    ],
)
def test_names_are_such_as_mlflow_takes(name, written):
    from mlflow.utils.validation import _validate_metric_name

    assert safe(name) == written
    _validate_metric_name(safe(name))
