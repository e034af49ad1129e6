"""How fast this machine trains networks of the space on patches of these data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from nas.analysis.plan.choice import coarse
from nas.analysis.plan.sample import Sample
from nas.analysis.preview.parallel import parallel_map
from nas.analysis.preview.survey import Costs, all_costs
from nas.analysis.preview.time_candidates import Timing, Workload, time_candidates
from nas.config.resources import Resources
from nas.engine.slots import count_slots
from nas.pareto.budget import Budget
from nas.study.training_cost import TrainingCosts
from search_spaces.space import Architecture
from trainers.config import TrainConfig
from trainers.data.check.facts import Progress
from trainers.errors import UserError

SEED = 0


@dataclass(frozen=True)
class Bench:
    """Counts and times networks as trials would train them on the sample's cases."""

    sample: Sample
    resources: Resources
    progress: Progress

    def costs(self, networks: Sequence[Architecture], train: TrainConfig) -> list[Costs]:
        """Parameters, MACs and memory of each; nothing of those that cannot be built."""
        with parallel_map(len(networks), self.progress) as parallel:
            return all_costs(networks, self.counting(train, Budget()), parallel)

    def counting(self, train: TrainConfig, budget: Budget) -> TrainingCosts:
        """What a network costs that is trained so on the sample's cases."""
        cache = self.sample.cache
        targets = cache.targets
        task = cache.channels, targets.outputs, targets
        return TrainingCosts(train, self.resources, budget, *task)

    def time(self, networks: Sequence[Architecture], train: TrainConfig) -> list[Timing | str]:
        """Of each, as many at a time as the search will train; or why there is none."""
        slots, workload = count_slots(self.resources), self.workload(train)
        found = time_candidates(networks, workload, slots, len(networks), 0.0, self.progress)
        return [found[place] for place in range(len(networks))]

    def workload(self, train: TrainConfig) -> Workload:
        """The sample's cases, trained on what a trial gets."""
        gpu, threads = bool(self.resources.gpus), self.resources.cpus
        return Workload(self.sample.cache, self.sample.cases, train, SEED, threads, gpu)

    def typical(self, name: str, network: Architecture, train: TrainConfig) -> tuple[Costs, Timing]:
        """Costs and seconds of one network, trained in all slots at a time."""
        [costs] = replace(self, progress=lambda *_: None).costs([network], train)
        everywhere = [network] * min(count_slots(self.resources), 4)
        timed = self.time(everywhere, train)
        seconds = [one for one in timed if isinstance(one, Timing)]
        if not seconds or not costs:
            raise UserError(
                f"{name} cannot be trained here on a patch of {list(train.patch)}: {timed[0]}"
            )
        return costs, mean_timing(seconds)


def mean_timing(timings: Sequence[Timing]) -> Timing:
    """Their mean, as `coarse` tells it."""
    step, window = (
        sum(seconds) / len(timings)
        for seconds in zip(*((one.step, one.window) for one in timings), strict=True)
    )
    return Timing(coarse(step), coarse(window))
