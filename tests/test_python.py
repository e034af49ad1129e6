"""The Python interface: the code of its page, in order, and what the names promise."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import nas
from nas.study.knob_importance import Importance
from trainers.data.phantom import make_phantom
from trainers.data.phantom_source import PhantomData

ROOT = Path(__file__).parents[1]
QUICK = """
name: quickstart
data: {source: phantom, cases: 6, shape: [24, 24, 24]}
space:
  name: hybrid
  restrict: {width: [4, 6, 8], levels: [3], stem_stride: [2], convs: [1], token_stages: [0, 1]}
train: {patch: [16, 16, 16], epochs: 1, steps_per_epoch: 2, batch: 1}
search: {startup: 1}
latency: {warmup: 1, repeats: 3}
tracking: {enabled: false}
"""


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """What the code of the page leaves: the folder it ran in, and its names."""
    folder = tmp_path_factory.mktemp("notebook")
    (folder / "configs").mkdir()
    (folder / "configs" / "quickstart.yaml").write_text(QUICK)
    data = make_phantom(PhantomData(cases=2, shape=(24, 24, 24), organs=3), folder / "data")
    images = sorted((data / "imagesTr").glob("*.nii.gz"))
    (folder / "images").mkdir()
    for image in images:
        shutil.copy(image, folder / "images")
    shutil.copy(images[0], folder / "image.nii.gz")
    text = (ROOT / "docs" / "python.md").read_text()
    names: dict[str, object] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for block in re.findall(r"```python\n(.+?)```", text, re.S):
            exec(block, names)
    return folder, names


def test_the_page_tells_which_knobs_matter(capsys):
    """With the page's own search, of three trials, nothing is told yet."""
    blocks = re.findall(r"```python\n(.+?)```", (ROOT / "docs" / "python.md").read_text(), re.S)
    (block,) = [block for block in blocks if "importances" in block]
    found = Importance("dice", 12, {"width": 0.7, "norm": 0.3}, frozenset())
    record = SimpleNamespace(hypervolume=0.5, importances=[found])
    exec(block, {"search": SimpleNamespace(record=record)})
    assert "dice ['width', 'norm']" in capsys.readouterr().out


def test_the_page_ends_with_segmentations(page):
    folder, names = page
    assert sorted(path.name for path in names["done"].written) == sorted(
        path.name for path in (folder / "images").iterdir()
    )
    assert names["done"].failed == {}


def test_a_row_of_the_table_is_a_result(page):
    _, names = page
    table, results = names["table"], names["search"].results
    assert list(table.key) == [result.key for result in results]
    assert set(table[table.front].key) == {member.key for member in names["search"].front}
    assert set(table[table["rank"] == 1].key) == set(table[table.front].key)
    widths = [result.architecture["width"] for result in results]
    assert list(table.width) == widths


def test_the_network_has_the_weights_of_the_search(page):
    folder, names = page
    exported = nas.Export(folder / "exported" / "knee").network()
    for name, value in names["network"].state_dict().items():
        np.testing.assert_array_equal(value, exported.state_dict()[name])
    assert not names["network"].training


def test_an_array_is_segmented_as_its_file(page, tmp_path):
    import nibabel as nib

    folder, _ = page
    segmenter = nas.load_segmenter(folder / "exported" / "knee")
    file = nib.load(folder / "image.nii.gz")
    found = segmenter.segment_array(file.get_fdata(), file.affine)
    np.testing.assert_array_equal(found, segmenter.segment(folder / "image.nii.gz"))


@pytest.mark.parametrize(
    ("shape", "told"),
    [((24, 24), "expected (D, H, W)"), ((24, 24, 24, 2), "the image has 2 channels")],
)
def test_an_array_that_does_not_fit_is_refused(page, shape, told):
    segmenter = nas.load_segmenter(page[0] / "exported" / "knee")
    with pytest.raises(nas.UserError, match=re.escape(told)):
        segmenter.segment_array(np.zeros(shape), np.eye(4))


def test_the_same_call_goes_on_with_the_search(page, monkeypatch):
    folder, names = page
    monkeypatch.chdir(folder)
    again = nas.run_search("configs/quickstart.yaml", "runs/notebook", settings=["search.trials=3"])
    assert [r.to_json() for r in again.results] == [r.to_json() for r in names["search"].results]


def test_data_and_a_single_setting_in_the_place_of_a_list_are_refused(tmp_path):
    (tmp_path / "a.yaml").write_text(QUICK)
    with pytest.raises(nas.UserError, match="is data; expected a YAML file: `segnas init`"):
        nas.run_search(tmp_path)
    with pytest.raises(nas.UserError, match=r"expected a list, such as \['search.trials=3'\]"):
        nas.read_config(tmp_path / "a.yaml", "search.trials=3")


def test_what_does_not_fit_is_a_user_error(page):
    folder, names = page
    with pytest.raises(nas.UserError, match="is no search"):
        nas.open_search(folder)
    with pytest.raises(nas.UserError, match="no member of the front"):
        names["search"].pick("zzz")
    with pytest.raises(nas.UserError, match="not empty"):
        names["search"].export(names["member"], folder / "exported" / "knee")
    with pytest.raises(nas.UserError, match="settings change a file"):
        nas.run_search(names["search"].config, settings=["seed=1"])


def test_a_network_may_be_named_as_pick_names_it(page, tmp_path):
    folder, names = page
    search, key = names["search"], names["member"].key
    assert search.export(key[:6], tmp_path / "net").architecture == names["member"].network()
    for name, value in search.network(key).state_dict().items():
        np.testing.assert_array_equal(value, names["network"].state_dict()[name])
    with pytest.raises(nas.UserError, match="7 is no name of a network; expected text: best-dice"):
        search.pick(7)
    with pytest.raises(nas.UserError, match=r"None is no name of a network"):
        search.network(None)
    with pytest.raises(nas.UserError, match=r"load_segmenter\('exported/knee'\) opens it"):
        nas.predict_folder("exported/knee", folder, tmp_path / "to")


def test_every_name_is_where_it_says():
    for name in nas.__all__:
        assert getattr(nas, name).__name__ == name
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = nas.nothing


def test_importing_it_loads_nothing_heavy():
    program = (
        "import sys, nas; print({'torch', 'monai', 'ray', 'optuna', 'mlflow'} & {*sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.strip() == "set()", done.stderr
