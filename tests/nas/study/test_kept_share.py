"""Networks that leave out queries count with what they compute, wherever costs are read."""

import json
from dataclasses import replace

import numpy as np
import optuna
import pytest
from rich.console import Console

from nas.cost.count import cost_of
from nas.export.model_card import _costs
from nas.pareto.budget import Budget
from nas.pareto.front_files import Front, front_csv, front_json, read_front
from nas.pareto.result import Result
from nas.report.front_page.data import page_data
from nas.report.tables import caption
from nas.report.terminal_tables import front_table
from nas.search.repeats import repeat_of
from nas.study.open_journal import open_journal
from nas.study.samplers.counted_network import (
    CountedNetwork,
    NetworkCounter,
    log_costs,
    share_kept,
)
from nas.study.samplers.ehvi.features import KnobFeatures
from nas.study.samplers.ehvi.guessed_costs import guess_work
from nas.study.samplers.ehvi.landscape import Landscape
from nas.study.samplers.ehvi.observations import Observation, Observations
from nas.study.stored_results import read_records
from nas.tracking.metrics import final_metrics
from search_spaces.apformer import SPACE, APFormer
from search_spaces.space import to_params
from tests.nas.parts import open_study, training_costs
from tests.nas.results import flat_result, search_record
from tests.nas.small_run import plain_run

PATCH = (8, 32, 32)
SMALL = {
    "design": ["apformer"],
    "width": [4, 8],
    "levels": [3],
    "layers": [1, 2],
    "heads": [2],
    "head_channels": [16],
}


def config(**queries):
    return plain_run(
        space={"name": "apformer", "restrict": {**SMALL, **queries}},
        train={"patch": PATCH, "epochs": 2},
        objectives=["dice", "macs"],
        search={"sampler": "random", "warm_start": []},
        tracking={"enabled": False},
    )


def told(directory, run, measured, dice=0.8):
    """A study with one candidate that was trained and measured, and what it was told to be."""
    study = open_study(directory, run, training_costs(run, 1, 2))
    candidate = study.ask()
    end = candidate.result(
        state="complete", dice=dice, epochs=2, train_seconds=4, measured=measured
    )
    return study, candidate, study.tell(end)


@pytest.fixture
def quarter(tmp_path):
    """Of a network that pruned a quarter of its queries."""
    return told(tmp_path, config(prune_queries=[True]), {"alpha": 0.25, "lambda": 0.5})


def test_macs_are_counted_at_the_share_that_was_kept(quarter, tmp_path):
    study, candidate, result = quarter
    most = cost_of(candidate.architecture, 1, 2, PATCH)
    counted = cost_of(candidate.architecture, 1, 2, PATCH, kept=0.75)
    assert candidate.costs["macs"] == most.macs
    assert most.macs_least < result.costs["macs"] == counted.macs < most.macs
    assert result.macs_bounds == (most.macs_least, most.macs)
    assert result.most_costs == candidate.costs
    assert study.results == [result]


def test_the_journal_keeps_both_and_a_sampler_hears_of_the_work_that_is_done(quarter, tmp_path):
    study, _, result = quarter
    assert read_records(tmp_path, "apformer", Budget()).results == [result]
    [trial] = open_journal(tmp_path, study.objectives, None).get_trials()
    assert trial.values == [0.8, result.costs["macs"]]


def test_how_long_networks_train_is_told_by_what_is_known_before(quarter):
    study, candidate, _ = quarter
    assert study.pace.seconds(candidate.costs) == 4
    assert repeat_of(study.results[0], 1).costs == candidate.costs


@pytest.mark.parametrize(
    ("queries", "measured"), [(False, {}), (False, {"alpha": 0.5}), (True, {"lambda": 0.5})]
)
def test_others_stay_as_they_are(queries, measured, tmp_path):
    _, candidate, result = told(tmp_path, config(prune_queries=[queries]), measured)
    assert (result.costs, result.macs_bounds) == (candidate.costs, None)
    assert "macs_bounds" not in result.to_json()


def test_a_result_is_read_with_and_without_bounds(quarter):
    record = json.loads(json.dumps(quarter[2].to_json()))
    assert Result.from_json(record, "apformer") == quarter[2]
    del record["macs_bounds"]
    assert Result.from_json(record, "apformer").macs_bounds is None


# Where people read of it


def result(key, macs, bounds=None, dice=0.85):
    kept = {"macs_bounds": bounds, "measured": {"alpha": 0.3}} if bounds else {}
    return flat_result("apformer", key=key, macs=macs, params=100, dice=dice, **kept)


PRUNED = result("pruned", 2_000_000, [1_000_000, 4_000_000])
PLAIN = result("plain", 3_000_000, dice=0.9)


def record(*results):
    return search_record(results, objectives=("dice", "macs"))


def test_files_have_the_bounds_of_those_that_have_any(tmp_path):
    front = Front(members=[PRUNED, PLAIN], objectives=("dice", "macs"))
    told = front_json(front)
    assert [member.get("macs_bounds") for member in told["members"]] == [(10**6, 4 * 10**6), None]
    (tmp_path / "front.json").write_text(json.dumps(told))
    assert [member.macs_bounds for member in read_front(tmp_path).members] == [
        (10**6, 4 * 10**6),
        None,
    ]
    head, row, _ = front_csv(front).splitlines()
    assert head.endswith("macs_least,macs_most")
    assert row.endswith("1000000,4000000")
    assert "macs_least" not in front_csv(Front(members=[PLAIN], objectives=("dice", "macs")))


def test_tables_and_the_page_say_which_macs_these_are():
    both, plain = record(PRUNED, PLAIN), record(PLAIN)
    data = page_data(both, None)
    assert "share that validation saw them keep" in data["caption"]
    assert [n.get("macsBounds") for n in data["networks"]] == [[10**6, 4 * 10**6], None]
    assert "share that validation saw them keep" in caption(both)
    assert "validation saw" not in page_data(plain, None)["caption"] + caption(plain)
    console = Console(width=200)
    with console.capture() as shown:
        console.print(front_table(both.front))
    told = " ".join(shown.get().split())
    assert "pruned: MACs of the queries that it keeps, of 1 M to 4 M" in told


def test_mlflow_and_the_model_card_have_the_bounds():
    metrics = final_metrics(PRUNED)
    assert (metrics["macs"], metrics["macs_least"], metrics["macs_most"]) == (2e6, 1e6, 4e6)
    assert "macs_least" not in final_metrics(PLAIN)
    card = "\n".join(_costs(replace(PRUNED, measured={})))  # as a front's file has it
    assert "from 1,000,000 multiply-accumulates, where all queries are pruned, to 4,000,000" in card


# What a sampler believes of networks that nobody trained


def network(kept=None, pruned=True, width=8):
    """Of 4 M multiply-accumulates at width 8, of which the queries are three quarters."""
    macs = 62_500 * width**2
    params = to_params(APFormer(width=width, prune_queries=pruned))
    counted = {"params": 100.0 * width**2, "macs": macs}
    return CountedNetwork(params, "", counted, macs / 4 if pruned else None, kept)


def test_the_share_that_is_expected_begins_with_all_and_comes_to_what_is_seen():
    assert share_kept([network(), network(pruned=False)]) == 1
    assert share_kept([network(0.1)] * 3 + [network(pruned=False)]) == pytest.approx(1.3 / 4)


def test_macs_at_a_share_are_between_the_bounds_unless_the_input_decides_nothing():
    assert network().at(0.5).costs["macs"] == 2.5e6
    assert network(kept=0.0).at(0.5).costs["macs"] == 1e6
    plain = network(pruned=False)
    assert plain.at(0.5) is plain


def landscape(trained, dice):
    seen = Observations(("dice", "macs"), NetworkCounter(SPACE, {}, lambda _: {}), Budget())
    seen.trained = [Observation(n, d, (d,)) for n, d in zip(trained, dice, strict=True)]
    return Landscape(KnobFeatures(SPACE, {}), seen, [], ("dice", "macs"), Budget(), 0)


def test_a_network_that_prunes_promises_more_once_others_were_seen_to_prune():
    """The same network, with and without the bound that says that its input decides."""
    asked = [network(width=12), replace(network(width=12), least=None)]
    dice = (0.70, 0.74, 0.75, 0.76)
    for kept, gain in ((0.05, 1.1), (1.0, 1.0)):
        trained = [network(kept, width=width) for width in (4, 8, 16, 24)]
        decides, fixed = landscape(trained, dice).worth(asked)
        assert fixed > 0
        assert decides > gain * fixed if gain > 1 else decides == fixed


def test_what_is_guessed_before_it_is_counted_keeps_the_least_in_mind():
    features = KnobFeatures(SPACE, {})
    known = [network(width=w) for w in (4, 8, 16)] + [
        network(pruned=False, width=w) for w in (4, 8)
    ]
    gated, plain = guess_work(
        [network(width=12).params, network(pruned=False, width=12).params], known, features
    )
    assert gated.least / gated.costs["macs"] < 0.6 < plain.least / plain.costs["macs"]
    only_plain = [n for n in known if n.least is None]
    assert guess_work([plain.params], only_plain, features)[0].least is None


def test_a_counted_network_knows_its_least_and_a_trained_one_its_share(quarter, tmp_path):
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study, candidate, result = quarter
    run = config()
    counter = NetworkCounter(SPACE, SMALL, training_costs(run, 1, 2))
    counted = counter.count(to_params(candidate.architecture))
    assert counted.least == result.macs_bounds[0]
    assert counted.costs["macs"] == result.macs_bounds[1]
    seen = Observations(study.objectives, counter, Budget())
    seen.update(open_journal(tmp_path, study.objectives, None))
    [observed] = seen.trained
    assert (observed.network.kept, observed.network.least) == (0.75, counted.least)
    assert observed.network.at(1.0).costs["macs"] == pytest.approx(result.costs["macs"], rel=1e-3)
    assert np.allclose(log_costs([observed.network], ["macs"]), np.log10(counted.costs["macs"]))
