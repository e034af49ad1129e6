import mlflow
import pytest
import torch
from mlflow import MlflowClient
from torch import nn

from nas.cli.main import main
from nas.config.tracking import TrackingConfig
from nas.pareto.front_files import read_front
from nas.tracking.lookup import find_run
from nas.tracking.model_registry import _described, check_names, register
from search_spaces.hybrid import Hybrid
from tests.nas.small_search import tracked_search
from tests.processes import printed_by
from trainers.checkpoint import write_checkpoint
from trainers.errors import UserError

SHAPE = (1, 16, 16, 16)
CARD = "# tiny\n\nIt segments.\n\n## How good it is\n\nNot very.\n"


@pytest.fixture(scope="module")
def search(tmp_path_factory):
    """A tracked search whose best member's weights are there. Returns (folder, study)."""
    folder = tmp_path_factory.mktemp("a search")
    return folder, tracked_search(folder)


@pytest.fixture
def place(search):
    """Where and under which run to register."""
    folder, study = search
    best = max(study.results, key=lambda result: result.dice or 0.0)
    run = find_run(TrackingConfig(), folder, study.id, best.key)
    return {
        "uri": f"sqlite:///{folder / 'mlflow.db'}",
        "run": run,
        "alias": "champion",
        "tags": {},
        "card": CARD,
    }


@pytest.fixture
def registered(place, request):
    return register(tiny(), SHAPE, name=request.node.name, **place)


def tiny():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv3d(1, 3, 3, padding=1), nn.InstanceNorm3d(3), nn.Conv3d(3, 2, 1))


def loaded(place, uri):
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(place["uri"])
    try:
        return mlflow.pytorch.load_model(uri), mlflow.models.get_model_info(uri)
    finally:
        mlflow.set_tracking_uri(before)


@pytest.mark.slow
def test_what_is_loaded_gives_the_same_logits_for_any_batch(registered, place, monkeypatch):
    monkeypatch.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "false")
    network, info = loaded(place, registered.uri)
    x = torch.randn(3, *SHAPE)
    with torch.inference_mode():
        torch.testing.assert_close(network(x), tiny().eval()(x))
        assert network(x[:1]).shape == (1, 2, 16, 16, 16)
    assert registered.free_batch
    assert [spec.shape for spec in info.signature.inputs.inputs] == [(-1, *SHAPE)]
    assert [spec.shape for spec in info.signature.outputs.inputs] == [(-1, 2, 16, 16, 16)]
    assert info.saved_input_example_info


def test_a_version_has_its_card(registered, search, place, request):
    version = MlflowClient(place["uri"]).get_model_version(request.node.name, registered.number)
    assert version.description == CARD.strip()
    cards = (search[0] / "mlartifacts").rglob("extra_files/README.md")
    assert CARD in {card.read_text() for card in cards}


def test_of_a_long_card_the_description_has_whole_sections():
    long = CARD + "\n## Data\n\n" + "many cases " * 1000
    text = _described(long)
    assert len(text) <= 5000 and text.startswith(CARD.strip())
    assert "## Data" not in text and "extra_files/README.md" in text


def test_the_alias_moves_to_the_next_version_and_the_run_stays_as_it_ended(
    registered, place, request
):
    client, name = MlflowClient(place["uri"]), request.node.name
    before = client.get_run(place["run"][1]).info
    again = register(tiny(), SHAPE, name=name, **place)
    assert (registered.number, again.number) == ("1", "2")
    assert client.get_model_version_by_alias(name, "champion").version in (2, "2")
    after = client.get_run(place["run"][1]).info
    assert (after.status, after.end_time) == (before.status, before.end_time)
    assert client.get_model_version(name, "2").run_id == place["run"][1]


def test_what_differs_when_it_is_loaded_is_not_registered(place, monkeypatch, request):
    monkeypatch.setattr(mlflow.pytorch, "load_model", lambda uri: lambda x: x.mean() * 0)
    with pytest.raises(UserError, match=r"differs by .* removed"):
        register(tiny(), SHAPE, name=request.node.name, **place)
    client = MlflowClient(place["uri"])
    assert not client.search_model_versions(f"name='{request.node.name}'")
    assert not client.get_registered_model(request.node.name).aliases


class Undecided(nn.Module):
    def forward(self, x):
        return x if x.sum() > 0 else -x


def test_a_network_without_a_graph_is_refused(place, request):
    with pytest.raises(UserError, match=r"torch\.export refuses this network"):
        register(Undecided(), SHAPE, name=request.node.name, **place)
    assert not MlflowClient(place["uri"]).search_registered_models(f"name='{request.node.name}'")


@pytest.mark.parametrize(
    ("name", "alias"),
    [("a/b", "champion"), ("a", "la test"), ("a", "prod.1"), ("a", "latest"), ("", "x")],
)
def test_names_that_no_address_can_hold_are_refused(name, alias):
    with pytest.raises(UserError, match=r"--register|--alias"):
        check_names(name, alias)


@pytest.mark.slow
def test_the_command_registers_the_winner_also_for_who_has_no_segnas(search, tmp_path, capsys):
    folder, _ = search
    member = max(read_front(folder).members, key=lambda result: result.dice)
    network = Hybrid.from_json(dict(member.architecture)).build(1, 2)
    weights = folder / "checkpoints" / f"{member.key}.pt"
    weights.parent.mkdir(exist_ok=True)
    write_checkpoint(weights, {"weights": network.state_dict()})
    to = tmp_path / "out"
    command = ["export", str(folder), "--pick", "best-dice", "--to", str(to), "--register", "organ"]
    assert main([*command, "--alias", "best"]) == 0
    assert "models:/organ@best is version 1" in capsys.readouterr().out
    version = MlflowClient(f"sqlite:///{folder / 'mlflow.db'}").get_model_version("organ", "1")
    assert version.description == _described((to / "README.md").read_text())
    x = torch.randn(1, 1, 24, 24, 24)
    torch.save(x, tmp_path / "x.pt")
    script = f"""
import sys
for name in ("nas", "search_spaces", "trainers", "monai"):
    sys.modules[name] = None  # importing it raises ImportError
import mlflow, torch
mlflow.set_tracking_uri("sqlite:///{folder / "mlflow.db"}")
network = mlflow.pytorch.load_model("models:/organ@best")
torch.save(network(torch.load("{tmp_path / "x.pt"}")).detach(), "{tmp_path / "y.pt"}")
"""
    printed_by(script)
    with torch.inference_mode():
        torch.testing.assert_close(torch.load(tmp_path / "y.pt"), network.eval()(x))


def test_a_trial_that_mlflow_lacks_is_told_before_anything_is_exported(search, tmp_path, capsys):
    folder, _ = search
    empty = tmp_path / "search"
    empty.mkdir()
    for name in ("journal.log", "config.yaml", "front.json", "task.json", "split.json"):
        (empty / name).write_bytes((folder / name).read_bytes())
    to = tmp_path / "out"
    command = ["export", str(empty), "--pick", "best-dice", "--to", str(to), "--register", "organ"]
    assert main(command) == 2
    assert "segnas sync" in capsys.readouterr().err
    assert not to.exists()
