import random
from dataclasses import replace

import pytest
import torch
from torch import nn

from search_spaces.hybrid import SPACE
from search_spaces.space import RandomTrial
from search_spaces.supernet import Draws, Supernet
from tests.slow import and_slow
from trainers.augment.config import Augment
from trainers.checkpoint import read_checkpoint
from trainers.config import TrainConfig
from trainers.data.splits import Cases
from trainers.errors import TrainingDivergedError, UserError
from trainers.supernet import SupernetTrainer, add_without_conflict
from trainers.supernet_recipe import SupernetRecipe
from trainers.trainer import Trainer
from trainers.volumes.targets import Region

CPU = torch.device("cpu")
SHORT = TrainConfig(
    patch=(16, 16, 16), epochs=4, steps_per_epoch=2, validate_every=2, learning_rate=0.01,
    augment=Augment(noise=0.1),
)  # fmt: skip
SMALL = {
    "width": [4, 6], "growth": [1.0], "levels": [3], "stem_stride": [2], "convs": [1],
    "residual": [True], "conv": ["standard", "ghost"], "norm": ["instance"], "skip": ["add"],
    "decoder": ["residual"], "prior": [False], "anchors": [0, 4], "token_stages": [1],
    "tokens.layers_count": [3], "tokens.mixer": ["attention", "adaptive"],
    "tokens.prune": [0.0, 0.5], "tokens.window": [0], "tokens.rank": [1.0],
    "tokens.layers.gate": ["both"],
}  # fmt: skip
RECIPES = [
    {"recipe": SupernetRecipe()},
    {"recipe": SupernetRecipe(random=1, first=0.5, teacher=1.0, surgery=True)},
    {"config": SHORT.model_copy(update={"ema": 0.9})},
]


def trainer(phantom, config=SHORT, checkpoint=None, seed=0, restrict=SMALL, **options):
    cache, cases = phantom
    supernet = Supernet(SPACE, restrict, cache.channels, len(cache.classes), seed=seed)
    recipe = options.get("recipe", SupernetRecipe())
    points = [SPACE.sample(RandomTrial(number), restrict) for number in range(16)]
    draws = Draws([(float(p.width), p) for p in points], count=recipe.random, bins=2)
    options = {"device": CPU, "seed": seed, "checkpoint": checkpoint, **options}
    return SupernetTrainer(supernet, draws, cache, cases, config, **options)


def figures(reports):
    return [(r.epoch, r.loss, r.dice, dict(r.dice_per_class), dict(r.measured)) for r in reports]


@pytest.mark.parametrize("options", and_slow(RECIPES[1:2], [RECIPES[0], RECIPES[2]]))
def test_a_training_that_goes_on_is_the_one_that_was_never_stopped(phantom, tmp_path, options):
    whole = trainer(phantom, **options)
    expected = [whole.run_epoch() for _ in range(4)]
    file = tmp_path / "supernet.pt"
    found = []
    for epochs in (1, 2, 1):  # each a process of its own
        torch.manual_seed(99)
        part = trainer(phantom, checkpoint=file, **options)
        found += [part.run_epoch() for _ in range(epochs)]
    assert str(figures(found)) == str(figures(expected))
    assert part.done and part.curve == whole.curve
    saved, kept = read_checkpoint(file)["weights"], whole.deployed.state_dict()
    assert all(torch.equal(saved[name], kept[name]) for name in kept)


def test_what_it_scores_is_the_dice_of_the_network_on_its_own(phantom):
    training = trainer(phantom)
    training.run_epoch()
    cache, cases = phantom
    point = training.supernet.smallest()
    network = point.build(cache.channels, len(cache.classes))
    network.load_state_dict(training.supernet.cut(point).state_dict())
    alone = Trainer(network, cache, cases, SHORT, device=CPU, seed=0)
    assert training.score(point) == alone.validate()


def test_the_largest_begins_alone_where_the_recipe_says_so(phantom):
    """Only networks that prune have the weights of pruning, and the largest does not."""
    always = {**SMALL, "tokens.mixer": ["attention"]}  # so that the smallest prunes
    training = trainer(phantom, recipe=SupernetRecipe(first=0.5), restrict=always)
    pruning = {n: p for n, p in training.supernet.named_parameters() if "/prune/" in n}
    before = {n: p.detach().clone() for n, p in pruning.items()}
    for alone in (True, True, False):
        assert training.alone is alone
        training.run_epoch()
        same = all(torch.equal(before[n], p) for n, p in pruning.items())
        assert same is alone


def test_who_learns_from_the_largest_alone_sees_no_labels(phantom):
    """The largest as good as untrained: what the others learn is its logits or the labels."""
    losses = {}
    for teacher in (0.0, 1.0):
        training = trainer(phantom, recipe=SupernetRecipe(teacher=teacher))
        images = torch.randn(2, 1, 16, 16, 16)
        labels = torch.zeros(2, 1, 16, 16, 16, dtype=torch.uint8)
        largest, smallest = training.supernet.largest(), training.supernet.smallest()
        training.supernet.train()
        _, taught = training._pass(largest, images, labels, None, 1.0)
        losses[teacher] = []
        for of in (labels, labels + 1):
            torch.manual_seed(0)  # of the noise on the scores of tokens
            losses[teacher].append(float(training._pass(smallest, images, of, taught, 1.0)[0]))
    assert losses[1.0][0] == losses[1.0][1] and losses[0.0][0] != losses[0.0][1]


def test_labels_in_no_region_are_background_to_terms_of_the_networks(phantom):
    training, told = trainer(phantom), []
    training._cache = replace(training._cache, regions=(Region("second", (2,), 2),), ignore=3)
    training.supernet.auxiliary_losses = lambda point, target: told.append(target) or {}
    labels = torch.arange(4, dtype=torch.uint8).repeat(16, 16, 4)[None, None]  # 0, 1, 2, 3, 0, ...
    training._loss = lambda logits, labels: logits.mean()
    training._pass(training.supernet.smallest(), torch.randn(labels.shape), labels, None, 1.0)
    [seen] = told
    assert (seen[labels == 1] == 0).all() and (seen[labels == 2] == 2).all()
    assert (seen[labels == 3] == -1).all() and (seen[labels == 0] == 0).all()


def test_opposed_gradients_lose_what_opposes():
    """By hand: of (3, -1) only what is orthogonal to (0, 2) is left; (3, 1) stays. Each parameter
    counts by itself: there is another one in which both agree by more."""
    for large, expected in (([3.0, -1.0], [3.0, 2.0]), ([3.0, 1.0], [3.0, 3.0])):
        weight, agreed, alone = (nn.Parameter(torch.zeros(size)) for size in (2, 1, 1))
        weight.grad, agreed.grad = torch.tensor([0.0, 2.0]), torch.tensor([9.0])
        gradients = torch.tensor(large), torch.tensor([9.0]), torch.tensor([5.0])
        add_without_conflict([weight, agreed, alone], gradients)
        assert weight.grad.tolist() == expected
        assert (agreed.grad.tolist(), alone.grad.tolist()) == ([18.0], [5.0])


def test_a_smaller_network_can_stand_for_the_largest(phantom):
    """Such as the largest within a budget."""
    training = trainer(
        phantom, recipe=SupernetRecipe(random=0), fit=lambda point: replace(point, width=4)
    )
    training._draw = lambda rng: [replace(training.supernet.smallest(), width=4)]
    training.supernet.train()
    training._step(torch.randn(2, 1, 16, 16, 16), torch.ones(2, 1, 16, 16, 16, dtype=torch.uint8))
    names = {n: p for n, p in training.supernet.named_parameters() if "encoder/1/unit/body" in n}
    weight = next(p for n, p in names.items() if "standard/" in n and "0/0/weight" in n)
    assert len(weight) == 6
    assert weight.grad[:4].any() and not weight.grad[4:].any()


def test_a_step_without_drawn_networks_trains_the_extremes(phantom):
    training = trainer(phantom, recipe=SupernetRecipe(random=0))
    training.supernet.train()
    batch = torch.randn(2, 1, 16, 16, 16), torch.ones(2, 1, 16, 16, 16, dtype=torch.uint8)
    assert training._step(*batch).isfinite()


def test_weights_that_the_last_step_of_an_epoch_broke_are_not_kept(phantom, tmp_path):
    """That epoch validates nothing: the checkpoint stays that of the epoch before."""
    file = tmp_path / "supernet.pt"
    training = trainer(phantom, checkpoint=file)
    training.run_epoch()
    kept, update = file.read_bytes(), training._optimizer.update

    def broken():
        update()
        with torch.no_grad():
            next(training.supernet.parameters()).fill_(torch.nan)

    training.config = SHORT.model_copy(update={"steps_per_epoch": 1, "validate_every": 4})
    training._optimizer.update = broken
    with pytest.raises(TrainingDivergedError, match="a weight is not finite after epoch 2"):
        training.run_epoch()
    assert training.epoch == 1 and file.read_bytes() == kept


@pytest.mark.parametrize("key", ["deep_supervision", "layer_decay"])
def test_what_is_for_one_network_is_refused(phantom, key):
    config = SHORT.model_copy(update={key: 0.5 if key == "layer_decay" else True})
    with pytest.raises(UserError, match=f"train.{key} is for one network"):
        trainer(phantom, config)


@pytest.mark.slow
def test_shared_weights_learn(phantom):
    """Largest and smallest far above what they were, in a minute of training together."""
    config = SHORT.model_copy(update={"epochs": 40, "steps_per_epoch": 10, "validate_every": 40})
    training = trainer(phantom, config)
    before = training.score(training.supernet.largest())[0]
    while not training.done:
        report = training.run_epoch()
    assert report.dice > before + 0.2
    assert report.measured["dice_smallest"] > 0.3


def test_without_validation_cases_nothing_is_validated(phantom):
    cache, cases = phantom
    training = trainer((cache, Cases(cases.train, (), ())))
    assert [training.run_epoch().dice for _ in range(2)] == [None, None]


def test_draws_depend_on_the_seed_alone(phantom):
    seen = []
    for _ in range(2):
        training = trainer(phantom, seed=3)
        seen.append([p.key for p in training._draw(training._rng)])
    assert seen[0] == seen[1] == [p.key for p in training._draw(random.Random(3))]
