"""A search with latencies on two devices: objectives and limits of their own, from the journal to
the front and all that shows it; and a device that goes away and comes back."""

import json
import math
from dataclasses import replace

import pytest

from nas.cost.failure import Failure
from nas.cost.latency_probe import Trained
from nas.export.model_card import _costs
from nas.pareto.front import front
from nas.pareto.front_files import Front, front_csv, front_json
from nas.pareto.limits import filter_by_limits, parse_limits
from nas.pareto.pick import pick
from nas.pareto.result import Result
from nas.report.front_page.data import page_data
from nas.report.tables import markdown_table
from nas.report.terminal_tables import front_table
from nas.search.candidate_queue import CandidateQueue
from nas.search.measure_waiting import check_away, measure_waiting
from nas.search.remeasure_front import remeasure_front
from nas.study.samplers.counted_network import NetworkCounter
from nas.study.samplers.ehvi.observations import Observations
from nas.study.stored_results import keep_compressed, read_records
from nas.tracking.metrics import final_metrics, fingerprint, result_tags
from search_spaces.hybrid import SPACE
from tests.nas.parts import open_study
from tests.nas.probers import DeviceProber, devices_prober
from tests.nas.results import search_record
from tests.nas.small_run import plain_run
from trainers.errors import UserError

ON_HERE, ON_CLINIC = "latency_ms@here", "latency_ms@clinic"


def cost(architecture):
    return {"params": architecture.width}


class Trial:
    """A study with its devices: here a network takes its width, in the clinic 40 minus that."""

    def __init__(self, directory, **budget):
        self.directory = directory
        self.run = plain_run(
            space={"restrict": {"levels": [3], "anchors": [0]}},
            train={"patch": [32, 32, 32], "epochs": 2},
            objectives=["dice", "latency_ms"],
            latency={"devices": {"here": {}, "clinic": {"command": ["true"]}}},
            search={"sampler": "random"},
            budget=budget,
        )
        self.here = DeviceProber("workstation", lambda a: float(a.width))
        self.clinic = DeviceProber("laptop", lambda a: 40.0 - a.width)
        self.said = []
        self.open()

    def open(self):
        """Begin, or go on, as a search does."""
        self.prober = devices_prober(here=self.here, clinic=self.clinic)
        told = {"latency": self.prober.conditions().to_json()}
        check_away(self.prober, self.directory)
        self.study = open_study(self.directory, self.run, cost, fixed=told)
        self.prober.expect(self.study.device_conditions)
        self.queue = CandidateQueue(self.study, self.run.budget, self.prober)

    def train(self, dice):
        """The next network that is admitted, trained to that Dice."""
        for _ in range(1000):
            self.queue.advance()
            if candidate := self.queue.take():
                ended = {"dice": dice, "curve": (dice,), "epochs": 2}
                return self.study.tell(candidate.result(state="complete", **ended))
        raise AssertionError("no candidate")

    def measure_waiting(self):
        return measure_waiting(self.study, self.prober, self.said.append)

    def remeasure(self):
        return remeasure_front(self.study, self.prober, Known(), self.said.append)

    @property
    def record(self):
        return search_record(self.study.results, objectives=self.run.objectives)


class Known:
    """Every network has its weights."""

    def of(self, results):
        return Trained([None for _ in results], None)


@pytest.fixture
def trial(tmp_path):
    return lambda **budget: Trial(tmp_path, **budget)


def test_both_latencies_are_objectives(trial):
    made = trial()
    results = [made.train(0.5) for _ in range(3)]
    assert made.run.objectives == ("dice", ON_HERE, ON_CLINIC)
    for result in results:
        width = result.architecture["width"]
        assert result.costs == {"params": width, ON_HERE: width, ON_CLINIC: 40 - width}
        assert result.latencies["clinic"]["conditions"]["device"] == "laptop"
        assert (result.device, result.latency) == (None, None)
    # Each is better on one of the devices: with alike Dice all different widths are the front.
    widths = {result.architecture["width"] for result in results}
    assert {m.architecture["width"] for m in front(results, made.run.objectives)} == widths
    only_here = front(results, ("dice", ON_HERE))
    assert {m.architecture["width"] for m in only_here} == {min(widths)}


def test_each_device_has_a_limit_of_its_own(trial):
    made = trial(**{ON_HERE: 24, ON_CLINIC: 32})
    widths = {made.train(0.5).architecture["width"] for _ in range(4)}
    assert widths <= {8, 12, 16, 24}
    refused = [result for result in made.study.results if result.state == "infeasible"]
    assert refused
    for result in refused:
        told = ON_HERE if result.architecture["width"] > 24 else ON_CLINIC
        assert result.reason.startswith(f"over budget: {told} ")
    trials = made.study._study.get_trials(deepcopy=False)
    assert any(trial.constraints[ON_CLINIC] > 0 for trial in trials if trial.state.is_finished())


def test_a_result_is_written_and_read_back(trial):
    result = trial().train(0.5)
    told = json.loads(json.dumps(result.to_json()))
    assert Result.from_json(told, result.space) == result
    assert set(told["latencies"]) == {"here", "clinic"}


def test_a_network_that_one_device_cannot_run_is_infeasible(trial):
    made = trial()
    made.clinic.says = lambda a: Failure("latency: no ONNX export")
    made.queue.advance()
    made.queue.advance()
    [result] = made.study.results
    assert (result.state, result.reason) == ("infeasible", "clinic: latency: no ONNX export")


def test_while_a_device_is_away_networks_are_trained_and_wait(trial):
    made = trial()
    first = made.train(0.5)
    made.clinic.away = True
    second = made.train(0.9)
    assert made.queue.waiting == {"clinic": "laptop does not answer"}
    assert set(second.costs) == {"params", ON_HERE}
    assert front(made.study.results, made.run.objectives) == [first]  # the better one waits
    assert math.isinf(made.study._study.get_trials()[-1].values[-1])
    assert made.record.waiting == (
        "1 trained network waits for latency on clinic and takes no place on the front."
    )


def test_a_device_that_is_back_is_asked_for_what_it_owes(trial):
    made = trial()
    made.train(0.5)
    made.clinic.away = True
    second = made.train(0.9)
    assert made.measure_waiting() == []
    assert made.said == [
        "Measuring who waits for latency on clinic: 1 network",
        "clinic: laptop does not answer",
        "1 network left waiting for clinic: go on with this search once it answers",
    ]
    made.clinic.away = False
    [changed] = made.measure_waiting()
    assert changed.costs == {**second.costs, ON_CLINIC: 40 - second.architecture["width"]}
    assert changed in front(made.study.results, made.run.objectives)
    assert made.record.waiting == ""
    assert made.measure_waiting() == []  # nobody is asked twice
    records = read_records(made.directory, made.run.space.name, made.run.budget)
    assert records.results == made.study.results


def test_a_late_figure_over_the_limit_makes_it_infeasible(trial):
    made = trial(**{ON_CLINIC: 20})
    made.train(0.5)
    made.clinic.away = True
    second = made.train(0.9)
    made.clinic.away, made.clinic.says = False, lambda a: made.clinic._figure(30.0)
    [changed] = made.measure_waiting()
    assert (changed.key, changed.state, changed.dice) == (second.key, "infeasible", None)
    assert changed.reason == (
        "over budget: latency_ms@clinic 30 ms (1.5 times the limit), measured later"
    )


def test_the_sampler_of_a_search_that_goes_on_knows_what_came_later(trial):
    """Over the limit, its Dice still tells of others, and it is no member of the front."""
    made = trial(**{ON_CLINIC: 35.0})
    made.train(0.5)
    made.clinic.away = True
    slow, quick = made.train(0.9), made.train(0.8)
    figures = {slow.key: 50.0, quick.key: 30.0}
    made.clinic.away, made.clinic.says = False, lambda a: made.clinic._figure(figures[a.key])
    made.measure_waiting()
    made.open()
    seen = Observations(made.run.objectives, NetworkCounter(SPACE, {}, cost), made.run.budget)
    seen.update(made.study._study)
    _, *later = seen.trained
    assert [(o.network.key, o.network.costs[ON_CLINIC], o.dice) for o in later] == [
        (slow.key, 50.0, None),
        (quick.key, 30.0, 0.8),
    ]
    assert seen.final_dice() == [0.5, 0.9, 0.8]


def test_a_network_that_runs_not_there_is_lost_later(trial):
    made = trial()
    made.train(0.5)
    made.clinic.away = True
    second = made.train(0.9)
    made.clinic.away, made.clinic.says = False, lambda a: Failure("latency: out of memory")
    [changed] = made.measure_waiting()
    assert (changed.key, changed.state) == (second.key, "infeasible")
    assert changed.reason == "clinic: latency: out of memory"
    records = read_records(made.directory, made.run.space.name, made.run.budget)
    assert records.results == made.study.results


def test_a_search_begins_once_each_device_answers_and_goes_on_without(trial, tmp_path):
    made = trial()
    made.clinic.away = True
    other = tmp_path / "other"
    other.mkdir()
    with pytest.raises(UserError, match=r"begins once each .*clinic: laptop does not answer"):
        check_away_of(made, other)
    made.open()  # an old one
    assert ON_CLINIC not in made.train(0.9).costs
    made.clinic.away = False
    made.open()
    assert len(made.measure_waiting()) == 1


def check_away_of(made, directory):
    prober = devices_prober(here=made.here, clinic=made.clinic)
    prober.conditions()
    check_away(prober, directory)


def test_another_machine_of_that_name_is_refused_when_the_search_goes_on(trial):
    made = trial()
    made.clinic.machine = "another laptop"
    with pytest.raises(UserError, match=r"latency.devices.clinic.device was \"laptop\" and is"):
        made.open()


def test_another_machine_of_that_name_is_not_measured_on(trial):
    """It was away when the search went on, and what came back is another one."""
    made = trial()
    made.clinic.away = True
    made.open()
    made.clinic.away, made.clinic.machine = False, "another laptop"
    assert ON_CLINIC not in made.train(0.9).costs
    assert "other conditions now, another laptop" in made.queue.waiting["clinic"]


def test_a_device_that_is_left_out_or_new_is_refused(trial):
    made = trial()
    told = {"latency": {"devices": {"here": made.here.conditions().to_json()}}}
    with pytest.raises(UserError, match=r"latency.devices.clinic was .* and is null"):
        open_study(made.directory, made.run, lambda a: {}, fixed=told)


def test_the_front_is_measured_again_on_each_device(trial):
    made = trial()
    for _ in range(3):
        made.train(0.5)
    members = front(made.study.results, made.run.objectives)
    fastest, *_, slowest = sorted(members, key=lambda m: m.costs[ON_HERE])
    widths = {fastest.key: 90.0, slowest.key: 1.0}
    made.here.says = lambda a: made.here._figure(widths.get(a.key, float(a.width)))
    revised = {result.key: result for result in made.remeasure()}
    assert revised[fastest.key].costs[ON_HERE] == 90.0
    assert revised[fastest.key].costs[ON_CLINIC] == fastest.costs[ON_CLINIC]
    told = f"{fastest.label} was number 1 by latency on here ({fastest.costs[ON_HERE]:.4g} ms)"
    assert any(line.startswith(told) for line in made.said)
    assert not any("latency on clinic" in line for line in made.said)
    made.said.clear()
    assert made.remeasure() == []  # left alone


def test_a_member_keeps_its_first_figure_of_a_device_that_is_away(trial):
    made = trial()
    member = made.train(0.5)
    made.clinic.away = True
    made.here.says = lambda a: made.here._figure(99.0)
    [revised] = made.remeasure()
    assert revised.costs == {**member.costs, ON_HERE: 99.0}
    reason = "laptop does not answer"
    assert f"{member.label} keeps its first latency on clinic: {reason}" in made.said
    assert len(made.here.sets) == 2  # the search's, and one more
    made.clinic.away, made.clinic.says = False, lambda a: made.clinic._figure(3.0)
    made.open()
    [revised] = made.remeasure()
    assert revised.costs == {**member.costs, ON_HERE: 99.0, ON_CLINIC: 3.0}


def test_a_compressed_network_that_was_replaced_is_measured_again_on_each_device(trial):
    made = trial()
    member = made.train(0.5)
    how = {"method": "prune", "of": member.key, "weights": "0123456789"}
    smaller = replace(member, compressed=how)
    for weights in ("0123456789", "9876543210"):
        keep_compressed(made.directory, replace(smaller, compressed={**how, "weights": weights}))
        made.open()
        made.train(0.9)  # which has the front, and so the network beside it, measured again
        made.here.says = lambda a: made.here._figure(99.0)
        assert [r.costs[ON_HERE] for r in made.remeasure() if r.compressed] == [99.0]


def test_all_that_shows_a_front_says_which_device_a_figure_is_of(trial):
    made = trial()
    member = made.train(0.5)
    record, width = made.record, member.architecture["width"]
    shown = front_table(record.front)
    assert [column.header for column in shown.columns][-2:] == [
        "Latency on clinic",
        "Latency on here",
    ]
    assert "latency on clinic: median of a pass, laptop (Linux)" in shown.caption
    assert "| Latency on clinic | Latency on here |" in markdown_table(record)
    assert record.conditions.startswith("on clinic, laptop (Linux), 1 thread")
    assert "; on here, workstation (Linux)" in record.conditions
    values = Front(members=[member], objectives=record.objectives)
    [row] = front_json(values)["members"]
    assert (row[ON_HERE], row[ON_CLINIC], row["latency_ms"]) == (width, 40 - width, None)
    assert row["latencies"]["here"]["conditions"]["device"] == "workstation"
    assert f"{ON_CLINIC},{ON_HERE}" in front_csv(values)
    page = page_data(record, None)
    assert page["costs"] == ["params", ON_CLINIC, ON_HERE]
    assert page["formats"][ON_CLINIC]["title"] == "Latency on clinic"
    assert page["networks"][0]["costs"][ON_CLINIC] == 40 - width
    card = "\n".join(_costs(member))
    assert f"| latency of one window on clinic, median | {40 - width} ms |" in card
    assert "Latency on here was measured on workstation (Linux), 1 thread" in card


def test_mlflow_has_a_metric_and_a_tag_for_each_device(trial):
    member = trial().train(0.5)
    metrics, width = final_metrics(member), member.architecture["width"]
    assert metrics["latency_ms/here"] == width
    assert metrics["latency_ms/clinic"] == 40 - width
    assert metrics["latency/clinic/p90_ms"] == 40 - width
    tags = result_tags(member)
    assert tags["latency/clinic"].startswith("laptop (Linux), 1 thread")
    assert tags["latency/here"].startswith("workstation (Linux)")
    assert fingerprint(member) != fingerprint(member.measured_on({"clinic": {
        **member.latencies["clinic"], "p50_ms": 1.0
    }}))  # fmt: skip


def test_limits_and_picks_name_the_device(trial):
    made = trial()
    members = front([made.train(0.5) for _ in range(4)], made.run.objectives)
    slow = max(members, key=lambda m: m.costs[ON_HERE])
    limit = parse_limits(f"{ON_CLINIC}<={slow.costs[ON_CLINIC]}")
    assert [m.key for m in filter_by_limits(members, limit)] == [slow.key]
    assert pick(members, "fastest@clinic", made.run.objectives) == slow
    told = "--pick fastest: expected fastest@clinic or fastest@here"
    with pytest.raises(UserError, match=told):
        pick(members, "fastest", made.run.objectives)
    with pytest.raises(
        UserError, match=f"latency_ms is not known .there is {ON_CLINIC}, {ON_HERE}"
    ):
        filter_by_limits(members, parse_limits("latency_ms<=1"))


def test_figures_of_two_machines_of_one_name_make_no_front(trial):
    made = trial()
    first, second = made.train(0.5), made.train(0.6)
    other = {**first.latencies["clinic"]}
    other["conditions"] = {**other["conditions"], "device": "another laptop"}
    results = [first.measured_on({"clinic": other}), second]
    with pytest.raises(UserError, match="several devices make no front: another laptop, laptop"):
        front(results, made.run.objectives)
    assert front(results, ("dice", ON_HERE))


def test_without_devices_nothing_new_is_fixed_or_recorded(tmp_path):
    run = plain_run()
    assert set(run.model_dump(mode="json")["budget"]) == {"params", "macs", "memory", "latency_ms"}
    result = open_study(tmp_path, run, lambda a: {"params": 1}).ask().result(state="complete")
    assert "latencies" not in result.to_json()
    assert set(result_tags(result)) == {"state"}
