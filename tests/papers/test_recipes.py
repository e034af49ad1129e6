"""Every recipe of `configs/papers` trains its published network on a miniature of its data set."""

import runpy
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from PIL import Image
from rich.console import Console

from nas.config.data_space import space_for
from nas.config.run_config import RunConfig
from nas.config.yaml_file import read_config, write_config
from nas.search.run import run_search
from nas.study.samplers.warm_start import place_warm_starts
from search_spaces.registry import find_preset
from tests.papers.miniatures import WRITERS
from trainers.data.prepare import prepare_data
from trainers.step.rates import learning_rate
from trainers.trainer import Trainer

FOLDER = Path(__file__).parents[2] / "configs" / "papers"
RECIPES = sorted(FOLDER.glob("*.yaml"))
LARGE = ("stp", "slimformer3d", "apformer-synapse")
PATCH = {  # of the miniature
    "apformer-isic2018": [1, 64, 64],
    "apformer-synapse": [1, 32, 32],
    "deploylite-camus": [32, 32, 1],
}
SHORT = ("train.epochs=1", "train.steps_per_epoch=2", "train.batch=2", "train.validate_every=1")
LAY_OUT = runpy.run_path(str(FOLDER / "lay_out.py"))


def set_of(recipe: Path) -> str:
    return recipe.stem.rpartition("-")[2]


@pytest.fixture(scope="session")
def laid_out(tmp_path_factory):
    """The folder of a data set, made once."""
    made = {}

    def folder(name: str) -> Path:
        if name not in made:
            raw = tmp_path_factory.mktemp(name)
            WRITERS[name](raw)
            made[name] = raw / "laid-out"
            if name == "brats":  # the Decathlon's own
                made[name] = raw
            else:
                LAY_OUT["lay_out"](name, raw, made[name])
        return made[name]

    return folder


def shortened(recipe: Path, data: Path) -> RunConfig:
    patch = PATCH.get(recipe.stem, [32, 32, 32])
    plain = read_config(RunConfig, recipe)
    settings = [*SHORT, f"data.path={data}", f"train.patch={patch}"]
    if isinstance(plain.data.split, Path):
        in_data = plain.data.split.name == "split.json"
        settings.append(f"data.split={(data if in_data else FOLDER) / plain.data.split.name}")
    return read_config(RunConfig, recipe, settings)


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_is_good_and_says_what_it_is(recipe, tmp_path):
    config = read_config(RunConfig, recipe)
    assert config.name == recipe.stem
    write_config(config, tmp_path / "again.yaml")
    assert read_config(RunConfig, tmp_path / "again.yaml", recorded=True) == config
    first, *lines = [line for line in recipe.read_text().splitlines() if line.startswith("# ")]
    assert first == f"# segnas search configs/papers/{recipe.name}"
    told = "\n".join(lines)
    for part in ("# Needs data/", "# By the paper: ", "# Otherwise than there: "):
        assert part in told
    assert config.retrain.epochs == config.train.epochs
    assert config.retrain.schedule == config.train.schedule


@pytest.mark.parametrize(
    "recipe",
    [
        pytest.param(path, id=path.stem, marks=[pytest.mark.slow] * path.stem.startswith(LARGE))
        for path in RECIPES
    ],
)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_recipe_trains_its_network_on_a_miniature(recipe, laid_out, tmp_path):
    config = shortened(recipe, laid_out(set_of(recipe)))
    cache, cases = prepare_data(config.data, tmp_path)
    outputs = cache.targets.outputs
    within = space_for(config.space, cache.prepared_voxel_size, config.train.patch, outputs)
    [start] = place_warm_starts(config.search.warm_start, within)
    if config.space.axes == "isotropic":
        assert start.architecture.key == find_preset(config.search.warm_start[0]).key
    network = start.architecture.build(cache.channels, outputs)
    trainer = Trainer(network, cache, cases, config.train, device=torch.device("cpu"), seed=0)
    report = trainer.run_epoch()
    assert report.dice is not None
    assert tuple(report.dice_per_class) == cache.targets.names


EXPECTED = {  # channels, foreground classes, cases for training, validation, test
    "btcv": (1, 13, 18, 12, 0),
    "synapse": (1, 8, 18, 12, 0),
    "amos22": (1, 15, 3, 2, 0),
    "abdomenct1k": (1, 4, 4, 1, 0),
    "brats": (4, 3, 7, 1, 0),
    "acdc": (1, 3, 8, 2, 2),
    "isic2018": (3, 1, 7, 1, 2),
    "camus": (1, 3, 20, 4, 8),
    "luna16": (1, 1, 7, 1, 2),
}
OF_SET = {set_of(path): path for path in RECIPES} | {
    "btcv": FOLDER / "stp-mta-btcv.yaml",
    "brats": FOLDER / "lightmedseg-brats.yaml",
}


@pytest.mark.parametrize("name", EXPECTED)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_download_becomes_the_published_classes_and_parts(name, laid_out, tmp_path):
    config = shortened(OF_SET[name], laid_out(name))
    cache, cases = prepare_data(config.data, tmp_path)
    parts = [len(part) for part in (cases.train, cases.validation, cases.test)]
    assert (cache.channels, len(cache.classes) - 1, *parts) == EXPECTED[name]
    seen = {int(value) for case in cases.train for value in set(cache.label(case).ravel())}
    assert seen == set(range(len(cache.classes)))


@pytest.fixture
def command(tmp_path, monkeypatch):
    """Runs lay_out.py on a small AbdomenCT-1K, as the set of that name."""
    WRITERS["abdomenct1k"](tmp_path / "raw")

    def run(name):
        words = ["lay_out.py", name, f"{tmp_path}/raw", f"{tmp_path}/{name}"]
        monkeypatch.setattr("sys.argv", words)
        LAY_OUT["main"]()

    return run


def test_the_command_counts_the_cases(command, tmp_path, capsys):
    command("abdomenct1k")
    assert capsys.readouterr().out == f"{tmp_path}/abdomenct1k: 5 cases\n"


def test_images_without_a_mask_are_told(command, capsys):
    command("abdomenct1k")
    told = "1 image has no mask in Mask, left out: Case_01001_0000.nii.gz\n"
    assert capsys.readouterr().err == told


def test_another_download_is_refused_with_what_is_expected(command):
    with pytest.raises(SystemExit, match="has no cases; expected training/patient001"):
        command("acdc")


def photographed(raw, pixels, mask, orientation=1):
    """An ISIC download of one picture (H, W), with that EXIF orientation, and its mask."""
    names = "ISIC2018_Task1-2_Training_Input/ISIC_1.jpg", "ISIC2018_Task1_Training_GroundTruth"
    image, label = raw / names[0], raw / names[1] / "ISIC_1_segmentation.png"
    exif = Image.Exif()
    exif[0x0112] = orientation
    for file in (image, label):
        file.parent.mkdir(parents=True)
    Image.fromarray(pixels).save(image, exif=exif)
    Image.fromarray(mask).save(label)


def test_a_photograph_lies_as_viewers_show_it_and_so_as_its_mask(tmp_path):
    shown = np.zeros((40, 60), np.uint8)
    shown[:10, :20] = 255
    stored = np.ascontiguousarray(np.rot90(shown))  # on its side, as cameras do
    photographed(tmp_path / "raw", stored, shown, orientation=6)
    LAY_OUT["lay_out"]("isic2018", tmp_path / "raw", tmp_path / "to")
    image, label = (
        np.asarray(nib.load(tmp_path / "to" / name / "ISIC_1.nii.gz").dataobj)[0]
        for name in ("imagesTr", "labelsTr")
    )
    assert label[:60, :80].all() and label.sum() < 70 * 90  # a quarter by a third of 256
    assert ((image[..., 0] > 127) == label).mean() > 0.98


def test_a_photograph_and_a_mask_of_two_sizes_are_refused(tmp_path):
    """Scaled, they would look as though they belonged together."""
    photographed(tmp_path / "raw", np.zeros((40, 60), np.uint8), np.zeros((60, 40), np.uint8))
    with pytest.raises(SystemExit, match=r"ISIC_1\.jpg is \(60, 40\), but ISIC_1_.*\(40, 60\)"):
        LAY_OUT["lay_out"]("isic2018", tmp_path / "raw", tmp_path / "to")


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_slices_of_synapse_lie_along_the_first_axis(laid_out, tmp_path):
    """20 slices of 3 mm, 36 x 40 voxels of 0.78 mm to the front and right."""
    config = shortened(FOLDER / "apformer-synapse.yaml", laid_out("synapse"))
    cache, cases = prepare_data(config.data, tmp_path)
    assert {cache.shape(name) for name in cases.train} == {(20, 19, 21)}


def values_of(recipe, laid_out, tmp_path):
    """The prepared images of the training cases."""
    config = shortened(FOLDER / f"{recipe}.yaml", laid_out(recipe.rpartition("-")[2]))
    cache, cases = prepare_data(config.data, tmp_path)
    return [cache.image(name) for name in cases.train]


@pytest.mark.parametrize(
    ("recipe", "low", "high"),
    [("stp-mta-btcv", -1, 1), ("lightmedseg-acdc", 0, 1), ("apformer-isic2018", 0, 1)],
)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_intensities_are_those_of_the_paper(recipe, low, high, laid_out, tmp_path):
    for image in values_of(recipe, laid_out, tmp_path):
        assert low <= image.min() < image.max() <= high


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_every_modality_of_brats_has_mean_0_and_deviation_1_in_the_brain(laid_out, tmp_path):
    for image in values_of("lightmedseg-brats", laid_out, tmp_path):
        for channel in image:
            brain = channel[channel != 0]
            assert abs(brain.mean()) < 1e-3 and abs(brain.std() - 1) < 1e-3


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_nodule_is_the_ball_of_its_diameter(laid_out, tmp_path):
    """4.2 mm at 0.7 x 0.7 x 1.25 mm, around voxel (20, 18, 9.5)."""
    config = shortened(FOLDER / "deploylite-luna16.yaml", laid_out("luna16"))
    cache, cases = prepare_data(config.data, tmp_path)
    voxels = [int((cache.label(name) > 0).sum()) for name in cases.train]
    assert 0.8 < max(voxels) * 0.7 * 0.7 * 1.25 / (4 / 3 * torch.pi * 2.1**3) < 1.2
    for name in cases.train:
        lit = cache.image(name)[0][cache.label(name) > 0]
        assert (lit > 0.7).all()  # of tissue in air


def test_the_rates_of_lightmedseg_turn_every_hundred_epochs():
    train = read_config(RunConfig, FOLDER / "lightmedseg-brats.yaml").train
    at = [learning_rate(train, train.steps_per_epoch * epoch) for epoch in (3, 103, 203)]
    assert at == pytest.approx([2e-4, 1e-9, 2e-4], rel=1e-9)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_search_by_a_recipe_trains_the_published_network_alone(laid_out, tmp_path):
    config = shortened(FOLDER / "lightmedseg-acdc.yaml", laid_out("acdc"))
    outcome = run_search(config, tmp_path / "run", Console(quiet=True))
    assert [member.key for member in outcome.members] == [find_preset("lightmedseg").key]
