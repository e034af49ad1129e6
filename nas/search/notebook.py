"""Searches from Python, for notebooks: what `segnas search`, `front` and `export` do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nas.config import yaml_file
from nas.config.run_config import RunConfig
from nas.pareto.front_files import Front, read_front
from nas.pareto.limits import filter_by_limits, parse_limits
from nas.pareto.pick import pick
from nas.pareto.result import Result
from nas.study.result_knobs import network_of
from nas.study.search_folder import checkpoint_in, journal_in
from trainers.data.folder_source import is_data
from trainers.errors import UserError
from trainers.home import from_home

if TYPE_CHECKING:
    from rich.console import Console
    from torch import nn

    from nas.export.export_folder import Export
    from nas.report.search_record import SearchRecord


class Search:
    """A search, as the files in its folder tell it. Raises UserError where there is none.

    The front can be read while the search runs; `results`, and what follows from them, cannot.
    """

    def __init__(self, directory: str | Path) -> None:
        journal_in(from_home(directory))
        self.directory = from_home(directory).absolute()  # a notebook may change its own
        path = self.directory / "config.yaml"
        self.config = yaml_file.read_config(RunConfig, path, recorded=True)

    @property
    def front(self) -> Sequence[Result]:
        """The Pareto front, from few parameters to many."""
        return self._front().members

    @property
    def baselines(self) -> Sequence[Result]:
        """The well-known networks that were trained beside the candidates."""
        return self._front().baselines

    @property
    def compressed(self) -> Sequence[Result]:
        """Networks that were made smaller after the search (`segnas join`)."""
        return self._front().compressed

    @cached_property
    def record(self) -> SearchRecord:
        """All that is known: results, ranks, hypervolume, importance of the knobs."""
        from nas.report.read_search import read_search

        return read_search(self.directory)[1]

    @property
    def results(self) -> Sequence[Result]:
        """Every ended candidate once: complete, stopped early, infeasible."""
        return self.record.results

    def table(self) -> list[dict[str, Any]]:
        """A flat row for each result: `pandas.DataFrame(search.table())`.

        Columns: `key`, `state`, `front` (whether it is a member), `rank` (1 for members; None where
        an objective is not known), `dice` (the mean of so many `trainings`), `chance` (to be on the
        front, where it is known), `dice_CLASS` for each class, the costs (`macs_least`, `macs_most`
        where the input decides between them), `epochs`,
        `train_seconds`, `reason`, and every knob by its path, such as `tokens.0.prune`.
        """
        members = {member.key for member in self.record.members}
        return [self._row(result, members) for result in self.results]

    def _row(self, result: Result, members: set[str]) -> dict[str, Any]:
        return {
            "key": result.key,
            "state": result.state,
            "front": result.key in members,
            "rank": self.record.ranks.get(result.key),
            "dice": result.dice,
            "trainings": len(result.trainings) or int(result.dice is not None),
            "chance": self.record.chances.get(result.key),
            **{f"dice_{name}": dice for name, dice in result.dice_per_class.items()},
            **result.costs,
            **result.bounds,
            "epochs": result.epochs,
            "train_seconds": result.train_seconds,
            "reason": result.reason,
            **network_of(result, self.record.space).knobs,
        }

    def pick(self, name: str, within: str | None = None) -> Result:
        """A network: `best-dice`, `knee`, `smallest` or `fastest` of the front, or (the start of)
        the key of any that was trained to the end, also of what stands beside the front.

        `within`: limits that it has to keep, such as `params<=5e5,latency_ms<=20`. Raises UserError
        where none fits, or several do.
        """
        if not isinstance(name, str):
            raise UserError(
                f"{name!r} is no name of a network; expected text: best-dice, knee, smallest, "
                "fastest, or the start of a key"
            )
        limits = parse_limits(within) if within is not None else []

        def others() -> list[Result]:
            from nas.study.stored_results import complete_results

            config = self.config
            found = complete_results(self.directory, config.space.name, config.budget)
            return filter_by_limits([*found, *self._front().beside], limits)

        front = self._front()
        members = filter_by_limits(front.members, limits)
        return pick(members, name, front.objectives, others, limited=bool(limits))

    def _result(self, result: Result | str) -> Result:
        return result if isinstance(result, Result) else self.pick(result)

    def _front(self) -> Front:
        front = read_front(self.directory)
        space = self.config.space.name  # the file of version 0.1 does not tell
        return replace(front, members=[replace(member, space=space) for member in front.members])

    def network(self, result: Result | str) -> nn.Module:
        """The network as the search trained it, (B, C, D, H, W) to logits, in eval mode, on the
        CPU. `result`: one of this search, or what `pick` takes. Raises UserError where its weights
        are gone."""
        from trainers.checkpoint import load_weights
        from trainers.data.task import Task

        result = self._result(result)
        task = Task.read(self.directory)
        network = result.network().build(task.channels, task.targets.outputs)
        load_weights(network, checkpoint_in(self.directory, result.name))
        return network.eval()

    def export(self, result: Result | str, to: str | Path) -> Export:
        """Make the folder `to`, from which the network is retrained and used.

        `result`: as for `network`. Raises UserError where `to` is not empty, or the weights are
        gone.
        """
        from nas.export.export_folder import Export
        from nas.export.shared_weights import SharedWeights
        from nas.export.write_export import write_export
        from nas.search.components import export_settings
        from trainers.data.task import Task

        result = self._result(result)
        settings = export_settings(self.config, Task.read(self.directory))
        shared = SharedWeights.read(self.directory) if self.config.search.inherits else None
        write_export(self.directory, result, settings, from_home(to), shared)
        return Export(from_home(to))


def open_search(directory: str | Path) -> Search:
    """The search in a folder. Raises UserError where there is none."""
    return Search(directory)


def run_search(
    config: RunConfig | str | Path,
    directory: str | Path | None = None,
    *,
    settings: Sequence[str] = (),
    address: str | None = None,
    console: Console | None = None,
) -> Search:
    """Search, or go on with the search that `directory` (default: `runs/NAME`) holds.

    `config`: a YAML file, or what `read_config` made of one. `settings`: what differs in the file,
    such as `search.trials=50`. `address`: of a Ray cluster; without one the trials run here.
    `console`: where progress is shown, by default here. Raises UserError, before anything is
    trained, for data or settings that cannot work, and KeyboardInterrupt where Ctrl-C ended the
    search: called again, it goes on.
    """
    from nas.search.stages import Stages

    if not isinstance(config, RunConfig):
        config = read_config(config, settings)
    elif settings:
        raise UserError("settings change a file; give run_search a file, or change the RunConfig")
    directory = Path("runs", config.name) if directory is None else from_home(directory)
    console = console or _plain_console()
    with Stages(console, lines=console) as stages:
        stages.begin("Loading PyTorch, MONAI, Optuna and Ray")
        from nas.search.run import run_search as run

        run(config, directory, console, address, stages=stages)
    return Search(directory)


def _plain_console() -> Console:
    """Lines of text also in Jupyter, where rich would make a box of each and take the cell for a
    terminal."""
    from nas.report.safe_console import SafeConsole

    console = SafeConsole()
    if not console.is_jupyter:
        return console
    return SafeConsole(force_jupyter=False, force_terminal=False)


def read_config(file: str | Path, settings: Sequence[str] = ()) -> RunConfig:
    """The configuration of a search from a YAML file, with `settings` such as `search.trials=50`.

    Raises UserError with every key that does not fit.
    """
    if isinstance(settings, str):
        raise UserError(f"settings is text; expected a list, such as [{settings!r}]")
    path = from_home(file)
    if is_data(path):
        raise UserError(f"{path} is data; expected a YAML file: `segnas init` writes one for it")
    return yaml_file.read_config(RunConfig, path, settings)
