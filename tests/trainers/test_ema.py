import torch
from torch import nn
from torch.optim.optimizer import register_optimizer_step_post_hook

from tests.trainers.test_trainer import SHORT, figures, network, run
from tests.trainers.test_trainer import trainer as plain_trainer
from trainers.checkpoint import keep_weights_only, load_weights, read_checkpoint
from trainers.ema import decay_after, weight_average


def trainer(phantom, ema, checkpoint=None):
    return plain_trainer(phantom, SHORT.model_copy(update={"ema": ema}), checkpoint=checkpoint)


def test_the_average_moves_as_by_hand():
    net = nn.Linear(1, 1, bias=False)
    average = weight_average(net, 0.25)
    for weight in (8.0, 4.0, 2.0):
        nn.init.constant_(net.weight, weight)
        average.update_parameters(net)
    # 8, then decay 2/11, below 0.25, then 3/12, which is 0.25
    second = (2 * 8 + 9 * 4) / 11
    assert torch.allclose(average.module.weight, torch.tensor(0.25 * second + 0.75 * 2))


def test_a_short_training_forgets_its_first_weights():
    assert decay_after(1, 0.999) == 2 / 11
    assert decay_after(10**6, 0.999) == 0.999


def test_what_is_validated_and_kept_is_the_average_of_all_steps(phantom, tmp_path):
    training = trainer(phantom, 0.6, tmp_path / "a.pt")
    steps = []
    hook = register_optimizer_step_post_hook(
        lambda *_: steps.append(training.network[0].weight.detach().double().clone())
    )
    try:
        run(training)
    finally:
        hook.remove()
    expected = steps[0]
    for n, weights in enumerate(steps[1:], start=1):
        decay = min(0.6, (1 + n) / (10 + n))
        expected = decay * expected + (1 - decay) * weights
    assert len(steps) == 12
    kept = read_checkpoint(tmp_path / "a.pt")["weights"]
    assert torch.allclose(kept["0.weight"].double(), expected, atol=1e-6)
    assert not torch.allclose(kept["0.weight"], training.network[0].weight, atol=1e-6)
    assert torch.equal(kept["1.running_mean"], training.network[1].running_mean)
    assert kept["1.num_batches_tracked"] == 12


def test_an_interrupted_training_keeps_its_average(phantom, tmp_path):
    whole = trainer(phantom, 0.9)
    expected = run(whole)
    stopped = trainer(phantom, 0.9, tmp_path / "a.pt")
    reports = [stopped.run_epoch(), stopped.run_epoch()]
    resumed = trainer(phantom, 0.9, tmp_path / "a.pt")
    reports += run(resumed)
    assert str(figures(reports)) == str(figures(expected))
    for ours, theirs in ((resumed.network, whole.network), (resumed.deployed, whole.deployed)):
        for a, b in zip(ours.state_dict().values(), theirs.state_dict().values(), strict=True):
            assert torch.equal(a, b)


def test_a_file_for_use_holds_the_average_only(phantom, tmp_path):
    training = trainer(phantom, 0.9, tmp_path / "a.pt")
    run(training)
    keep_weights_only(tmp_path / "a.pt")
    used = network()
    assert load_weights(used, tmp_path / "a.pt").keys() == {"weights"}
    assert torch.equal(used[0].weight, training.deployed[0].weight)


def test_without_an_average_the_checkpoint_is_that_of_a_search(phantom, tmp_path):
    training = trainer(phantom, 0.0, tmp_path / "a.pt")
    training.run_epoch()
    assert training.deployed is training.network
    assert read_checkpoint(tmp_path / "a.pt")["training"].keys() == {
        "epoch",
        "curve",
        "optimizer",
        "schedule",
        "scaler",
        "sampler",
        "random",
        "accumulate",
        "seconds",
    }
