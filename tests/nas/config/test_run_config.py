from pathlib import Path

import pytest
import yaml

from nas.config.run_config import RunConfig
from nas.config.yaml_file import read_config, write_config
from trainers.errors import UserError

MINIMAL = """\
name: mine
data: {source: msd, path: data/Task04}
train: {patch: [32, 32, 32]}
"""
CONFIGS = sorted((Path(__file__).parents[3] / "configs").glob("*.yaml"))


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(MINIMAL)
    return path


def read(file, *settings):
    return read_config(RunConfig, file, settings)


def refused(file, *settings):
    with pytest.raises(UserError) as error:
        read(file, *settings)
    return str(error.value).removeprefix(f"{file}: ")


# Reading


def test_the_shortest_config_has_defaults(file):
    config = read(file)
    assert config.data.path == Path("data/Task04")
    assert config.objectives == ("dice", "params", "latency_ms")
    assert config.space.name == "hybrid"


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_every_config_that_is_shipped_is_good(path):
    assert read(path).name == path.stem


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_a_written_config_reads_back_the_same(path, tmp_path):
    config = read(path)
    write_config(config, tmp_path / "again.yaml")
    assert read(tmp_path / "again.yaml") == config


# What is refused


def test_an_unknown_key_is_refused_with_the_nearest_one(file):
    file.write_text(MINIMAL + "search: {trails: 3}\n")
    with pytest.raises(UserError) as error:
        read(file)
    expected = f"{file}: search.trails is not a key of `search`. Did you mean trials?"
    assert str(error.value) == expected


def test_an_unknown_key_at_the_top_is_refused(file):
    assert refused(file, "sarch=1") == "sarch is not a key. Did you mean search?"


def test_an_unknown_key_unlike_any_other_is_told_those_there_are(file):
    message = refused(file, "resources.xyz=1")
    assert message == (
        "resources.xyz is not a key of `resources`. There are: "
        "cpus, gpus, custom, labels, concurrent, niceness"
    )


def test_an_unknown_key_of_the_data_is_told_the_keys_of_that_source(file):
    message = refused(file, "data.pth=x")
    assert message == "data.pth is not a key of `data`. Did you mean path?"
    assert refused(file, "data.preprocess.spaces=x").endswith("Did you mean spacing?")


@pytest.mark.parametrize(
    ("setting", "parts"),
    [
        ("train.epochs=many", ["train.epochs = 'many'", "integer"]),
        ("train.epochs=0", ["train.epochs = 0", "greater than 0"]),
        ("train.patch=[32, 32]", ["train.patch"]),
        ("train.patch=[32, 32, x]", ["train.patch.2 = 'x'", "integer"]),
        ("search.budget=hours", ["search", "budget is hours, but hours is not set"]),
        ("search.early_stopping.ties=crowding", ["ties = 'crowding' was removed", "remove ties"]),
        ("search.continuation=0.2", ["continuation = 0.2 was removed", "remove continuation"]),
        ("objectives=[dice, hd95]", ["objectives", "'hd95' is none", "latency_ms"]),
        ("data.source=zip", ["data", "'msd', 'phantom'"]),
        ("data.split.validation=0", ["data.split.validation = 0", "greater than 0"]),
        ("data=x", ["data = 'x'"]),
        ("train=3", ["train = 3"]),
        ("budget.params=-1", ["budget.params = -1", "greater than 0"]),
        ("name=../up", ["name = '../up'"]),
        ("objectives=[dice]", ["objectives", "dice and at least one cost"]),
        ("objectives=[params, macs]", ["objectives", "dice and at least one cost"]),
        ("objectives=[dice, macs, macs]", ["objectives", "each once"]),
        (
            "objectives=[dice, size]",
            ["objectives = ['dice', 'size']: 'size' is none", "latency_ms"],
        ),
        ("space.name=hybird", ["space", "'hybird' is no space. Did you mean hybrid?"]),
        ("space.name=[hybrid]", ["space.name = ['hybrid']", "string"]),
        ("space.restrict.lvels=[3]", ["restrict.lvels is no knob", "levels"]),
        ("space.restrict.levels=[2]", ["restrict.levels = [2]", "[3, 4, 5]"]),
        ("space.restrict.levels=[]", ["restrict.levels = []", "[3, 4, 5]"]),
        ("space.restrict=3", ["space.restrict = 3"]),
        ("search.prior.lvels=3", ["prior.lvels is no knob", "levels"]),
        ("search.prior.levels=2", ["prior.levels = [2]", "[3, 4, 5]"]),
        ("search.prior.levels=[3, 4]", ["prior.levels = [3, 4]", "expected one option"]),
        ("search.prior=3", ["search.prior = 3"]),
    ],
)
def test_a_value_that_does_not_fit_is_refused_by_key(file, setting, parts):
    message = refused(file, setting)
    assert "\n" not in message
    for part in parts:
        assert part in message


def test_a_missing_key_is_named(file):
    file.write_text("name: mine\ndata: {source: msd}\ntrain: {}\n")
    message = refused(file)
    assert "data.path is missing" in message
    assert "train.patch is missing" in message


def test_a_run_without_training_names_that_alone(file):
    file.write_text("name: mine\ndata: {source: phantom}\n")
    assert refused(file) == "train is missing"


def test_a_key_of_train_that_is_wrong_is_told_once(file):
    """`retrain` inherits it, and would repeat the message."""
    assert refused(file, "train.epoch=3").count("epoch is not a key") == 1


def test_every_problem_is_told_at_once(file):
    message = refused(file, "seed=-1", "resources.cpus=0", "trian=1")
    assert len(message.splitlines()) == 4
    assert all(key in message for key in ("seed", "resources.cpus", "trian"))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match=r"none\.yaml: No such file"):
        read(tmp_path / "none.yaml")


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("a: [1", "(line 1)"),
        ("a: 1\nb: [1\nc: 2", "(line 2 to line 3)"),
        ("a: b: c", "(line 1)"),
        ("\t- x", "(line 1)"),
        ("a: 1\nb: *nowhere", "(line 2)"),
        ("a: \x01", "position 3"),
    ],
)
def test_a_file_that_is_no_yaml_is_told_in_one_line_with_the_place(file, text, place):
    file.write_text(text)
    message = refused(file)
    assert "mine.yaml is no YAML: " in message
    assert message.endswith(place)
    assert "\n" not in message


@pytest.mark.parametrize(
    ("text", "kind"),
    [("", "is empty"), ("[1]", "is a list"), ("x", "is text"), ("7", "is 7 alone")],
)
def test_a_file_without_keys_is_told(file, text, kind):
    file.write_text(text)
    assert f"mine.yaml {kind}; expected keys and values" in refused(file)


def test_bytes_that_are_no_text_are_told(file):
    file.write_bytes(b"\xff\xfe\x00")
    assert "mine.yaml is no YAML" in refused(file)


def test_a_tag_that_would_run_code_is_refused(file, tmp_path):
    file.write_text(f"name: !!python/object/apply:os.mkdir ['{tmp_path}/made']\n")
    assert "mine.yaml is no YAML" in refused(file)
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("search: {hours: 1:30}", "search.hours = '1:30': expected a number of hours, such as 1.5"),
        ("seed: 0b11", "seed = '0b11': Input should be a valid integer"),
        ("seed: 1_000", "seed = '1_000': Input should be a valid integer"),
        ("seed: '3'", "seed = '3': Input should be a valid integer"),
        ("seed: true", "seed = true: Input should be a valid integer"),
        ("seed: yes", "seed = 'yes': Input should be a valid integer"),
        ("tracking: {enabled: yes}", "tracking.enabled = 'yes': expected true or false"),
        ("tracking: {uri: 'localhost:5000'}", "without its scheme; write http://localhost:5000"),
        ("tracking: {uri: 'htp://mlflow/a'}", "no scheme that MLflow knows; write http://mlflow/a"),
        ("seed: 99999999999999999999", "seed = 99999999999999999999: Input should be less than"),
        ("budget: {memory: true}", "budget.memory = true: expected bytes, or text with a unit"),
        (f"budget: {{memory: {'9' * 400}GB}}", "expected bytes, or text with a unit such as 8GiB"),
        (f"budget: {{memory: '{'9' * 400}'}}", "Input should be less than or equal to"),
        ("budget: {params: .inf}", "budget.params = inf: Input should be a finite number"),
        ("resources: {labels: {1: a}}", "resources.labels.1 = 1: Input should be a valid string"),
        ("1: 2", "1 is no key: Keys should be strings"),
        ("seed: 1\nseed: 2", "'seed' stands twice in one mapping, on line 4 and on line 5"),
        ("search: {trials: 3, hours: 1, trials: 4}", "'trials' stands twice in one mapping"),
        ("data: {source: msd, path: ''}", "'data' stands twice in one mapping"),
    ],
)
def test_a_value_that_is_not_what_it_was_meant_to_be_is_refused(file, text, words):
    file.write_text(f"{MINIMAL}{text}\n")
    message = refused(file)
    assert words in message and "\n" not in message


def test_a_block_that_stands_twice_is_refused(file):
    file.write_text(f"{MINIMAL}train: {{patch: [64, 64, 64], learning_rate: 0.5}}\n")
    assert refused(file).endswith(
        "'train' stands twice in one mapping, on line 3 and on line 4; keep one"
    )


def test_a_knob_in_two_spellings_is_refused(file):
    file.write_text(
        f"{MINIMAL}space: {{restrict: {{tokens.prune: [0], tokens: {{prune: [0.5]}}}}}}\n"
    )
    assert "restrict.tokens.prune stands twice" in refused(file)


def test_an_empty_path_is_refused(file):
    assert "data.path = '': an empty path" in refused(file, 'data.path=""')


def test_numbers_in_yaml_1_2(file):
    file.write_text(f"{MINIMAL}seed: 010\nsearch: {{hours: 1.5, trials: 0x10}}\n")
    config = read(file, "train.epochs=0o10")
    assert (config.seed, config.search.hours, config.search.trials) == (10, 1.5, 16)
    assert config.train.epochs == 8


def test_a_tilde_is_the_home(file, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    settings = ("data.cache=~/c", "data.split=~/s.json", "tracking.uri=~/runs")
    config = read(file, "data.path=~/a b #1", *settings)
    assert config.data.path == tmp_path / "a b #1"
    assert (config.data.cache, config.data.split) == (tmp_path / "c", tmp_path / "s.json")
    assert config.tracking.uri == str(tmp_path / "runs")
    assert read(file, "data.path=$HOME/x").data.path == Path("$HOME/x")


@pytest.mark.parametrize(
    ("setting", "hint"),
    [
        (
            "train.augment.flip=[0]",
            "is not a key of `train.augment`. Did you mean flips?",
        ),
        ("retrain.distilation.weight=1", "Did you mean distillation?"),
        ("latency.thread=1", "latency.thread is not a key of `latency`. Did you mean threads?"),
        ("search.early_stopping.bracket=1", "Did you mean brackets?"),
        ("budget.latency=1", "Did you mean latency_ms?"),
        ("data.source=phantm", "Did you mean phantom?"),
        ("data.split.group=1", "Did you mean groups?"),
        ("space.restrict.level=[3]", "restrict.level is no knob; did you mean levels? There are: "),
        ("space.restrict.qqqq=[3]", "restrict.qqqq is no knob; there are: "),
        ("space.name=slimfomer", "Did you mean slimformer?"),
        ("train.precision=fp31", "'fp32'"),
        ("search.startup_sampler=qcm", "'random' or 'qmc'"),
    ],
)
def test_a_word_that_is_unknown_is_told_the_nearest_or_all(file, setting, hint):
    message = refused(file, setting)
    assert hint in message and "\n" not in message


def test_a_message_stays_readable_whatever_was_found(file):
    file.write_text(f"{MINIMAL}seed: {'x' * 100_000}\nresources: {{{'y' * 100_000}: 1}}\n")
    assert all(len(line) < 300 for line in refused(file).splitlines())
    file.write_text(f"{MINIMAL}search: {{warm_start: {list(range(1000))}}}\n")
    lines = refused(file).splitlines()
    assert len(lines) == 22 and lines[-1] == "  and 980 more"


# --set


@pytest.mark.parametrize(
    ("setting", "found"),
    [
        ("data.path=elsewhere", lambda c: c.data.path == Path("elsewhere")),
        ("train.epochs=3", lambda c: c.train.epochs == 3),
        ("train.learning_rate=1e-3", lambda c: c.train.learning_rate == 0.001),
        ("train.patch=[16, 24, 8]", lambda c: c.train.patch == (16, 24, 8)),
        ("train.augment.flips=[0, 2]", lambda c: c.train.augment.flips == (0, 2)),
        ("data.preprocess.spacing=[1, 1, 2.5]", lambda c: c.data.preprocess.spacing == (1, 1, 2.5)),
        ("data.split.groups.pattern='a_(\\d+)'", lambda c: c.data.split.groups.pattern[0] == "a"),
        ("data.split=cases.json", lambda c: c.data.split == Path("cases.json")),
        ("resources.gpus=1", lambda c: c.resources.gpus == 1),
        ("search.warm_start=[any-name]", lambda c: c.search.warm_start == ("any-name",)),
        ("tracking.enabled=false", lambda c: c.tracking.enabled is False),
        ("budget.params=1e5", lambda c: c.budget.params == 100_000),
        ("budget.params=null", lambda c: c.budget.params is None),
        ("latency.repeats=5", lambda c: c.latency.repeats == 5),
        (
            "search.prior={tokens.prune: 0, conv: ghost}",
            lambda c: c.search.prior == {"tokens.prune": 0.0, "conv": "ghost"},
        ),
        ("space.restrict.tokens.prune=[0.5]", lambda c: c.space.restrict["tokens.prune"] == (0.5,)),
        ("name=other", lambda c: c.name == "other"),
        ("tracking.uri=my-plugin://x", lambda c: c.tracking.uri == "my-plugin://x"),
        ("tracking.uri=http://host:5000/a=b", lambda c: c.tracking.uri == "http://host:5000/a=b"),
    ],
)
def test_a_setting_reaches_its_key(file, setting, found):
    assert found(read(file, setting))


def test_the_last_setting_wins(file):
    assert read(file, "seed=1", "seed=2").seed == 2


def test_a_setting_that_sets_nothing_is_refused(file):
    assert refused(file, "seed").startswith("--set seed: expected key=value")


# What follows from other keys


def test_retraining_is_training_four_times_as_long(file):
    config = read(file, "train.epochs=5", "train.batch=7", "retrain.learning_rate=0.5")
    assert config.retrain.epochs == 20
    assert config.retrain.batch == 7
    assert config.retrain.learning_rate == 0.5
    assert config.train.learning_rate != 0.5
    assert config.retrain.patch == (32, 32, 32)


def test_retraining_minimises_the_same_loss(file):
    config = read(file, "train.loss.boundary=0.5", "retrain.loss.class_weights=inverse")
    assert config.train.loss.class_weights == "none"
    assert config.retrain.loss.boundary == 0.5
    assert config.retrain.loss.class_weights == "inverse"


def test_retraining_refines_as_training_does_unless_it_says_otherwise(file):
    same = read(file, "train.ema=0.99", "train.deep_supervision=true")
    assert (same.retrain.ema, same.retrain.deep_supervision) == (0.99, True)
    other = read(file, "train.ema=0.99", "retrain.ema=0", "retrain.deep_supervision=true")
    assert (other.retrain.ema, other.retrain.deep_supervision) == (0.0, True)
    assert (other.train.ema, other.train.deep_supervision) == (0.99, False)
    again = RunConfig.model_validate_json(other.model_dump_json())
    assert again == other


def test_retraining_has_keys_of_its_own(file):
    config = read(file, "train.epochs=5", "retrain.epochs=6", "retrain.all_cases=true")
    assert config.retrain.epochs == 6
    assert config.retrain.all_cases


def test_retraining_changes_one_augmentation_and_keeps_the_others(file):
    config = read(file, "train.augment.shift=5", "retrain.augment.noise=0.5")
    assert (config.retrain.augment.shift, config.retrain.augment.noise) == (5, 0.5)


def test_retraining_has_augmentation_of_its_own(file):
    presets = "train.augment={preset: light, flips: [0]}", "retrain.augment=nnunet"
    config = read(file, *presets)
    assert (config.train.augment.preset, config.train.augment.flips) == ("light", (0,))
    assert (config.retrain.augment.preset, config.retrain.augment.flips) == ("nnunet", (0, 1, 2))
    same = read(file, presets[0], "retrain.augment.shift=1").retrain.augment
    assert (same.preset, same.shift, same.flips) == ("light", 1, (0,))
    named = read(file, presets[0], "retrain.augment={preset: nnunet, shift: 0}").retrain.augment
    assert (named.preset, named.shift, named.flips) == ("nnunet", 0, (0, 1, 2))
    today = read(file, presets[0], "retrain.augment={preset: basic, noise: 0.2}").retrain.augment
    assert (today.preset, today.scale, today.noise) == ("basic", 0.1, 0.2)


@pytest.mark.parametrize(
    ("train", "retrain"),
    [
        ({"optimizer": "adam"}, {"optimizer": "adamw"}),
        ({"layer_decay": 0.75}, {"layer_decay": 1.0}),
        ({"betas": [0.8, 0.9]}, {"betas": [0.9, 0.999]}),
        ({"schedule": "poly"}, {"schedule": "cosine"}),
        ({"schedule": {"t_max": 3, "minimum": 1e-5}}, {"schedule": {"t_max": None, "minimum": 0}}),
        ({"augment": "nnunet"}, {"augment": "basic"}),
        ({"augment": "nnunet"}, {"augment": {"preset": "basic", "flips": [0]}}),
        ({"augment": "light"}, {"augment": {"flips": [1]}}),
        ({"ema": 0.99}, {"ema": 0.0}),
    ],
)
@pytest.mark.parametrize("recorded", [True, False])
def test_a_retraining_at_the_defaults_stays_so_where_the_search_is_not(
    file, tmp_path, train, retrain, recorded
):
    plain = read_config(RunConfig, file)
    values = plain.model_dump(mode="json")
    values = {**values, "train": {**values["train"], **train}, "retrain": retrain}
    config = RunConfig.model_validate(values)
    write_config(config, tmp_path / "config.yaml")
    assert read_config(RunConfig, tmp_path / "config.yaml", recorded=recorded) == config


@pytest.mark.parametrize("augment", ["basic", "light", "{preset: nnunet, flips: [2]}"])
def test_augmentation_is_recorded_and_read_again(file, tmp_path, augment):
    config = read(file, f"train.augment={augment}")
    write_config(config, tmp_path / "config.yaml")
    assert read_config(RunConfig, tmp_path / "config.yaml", recorded=True) == config


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ("train.augment=nnunett", "train.augment.preset = 'nnunett': "),
        ("train.augment=3", "train.augment = 3: expected keys and values"),
        (
            "train.augment={preset: light, noise: 1}",
            "train.augment: noise stands beside preset: light, which has its own intensities",
        ),
    ],
)
def test_augmentation_that_is_none_is_told(file, setting, told):
    assert told in refused(file, setting)


@pytest.mark.parametrize("setting", ["retrain.epoch=3", "retrain=3", "retrain.augment=3"])
def test_a_wrong_key_of_retraining_is_named(file, setting):
    assert refused(file, setting).startswith(setting.partition("=")[0])


def test_restricted_options_have_the_type_and_order_of_the_space(file):
    config = read(file, "space.restrict={tokens.prune: [0.5, 0], levels: [5, 3], conv: ghost}")
    assert config.space.restrict == {
        "tokens.prune": (0.0, 0.5),
        "levels": (3, 5),
        "conv": ("ghost",),
    }
    assert type(config.space.restrict["tokens.prune"][0]) is float


def test_repeated_options_count_once(file):
    assert read(file, "space.restrict.levels=[3, 3, 4]").space.restrict["levels"] == (3, 4)


def test_a_config_is_written_as_plain_yaml(file, tmp_path):
    write_config(read(file), tmp_path / "out.yaml")
    assert yaml.safe_load((tmp_path / "out.yaml").read_text())["data"]["path"] == "data/Task04"


def test_mirrored_inference_needs_mirrored_training(file):
    assert read(file, "retrain.augment.flips=[0]", "retrain.mirror=[0]").retrain.mirror == (0,)
    with pytest.raises(UserError, match=r"retrain.*mirror has axis 1.*augment\.flips"):
        read(file, "retrain.augment.flips=[0]", "retrain.mirror=[0, 1]")


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ("train.patch=32 32 32", "train.patch = '32 32 32': expected a list, such as [1, 2, 3]"),
        ("train.patch=[8, 8, 8, 8]", "train.patch = [8, 8, 8, 8]: expected 3 items, not 4"),
        ("train=5", "train = 5: expected keys and values"),
        ("name=a/b", "name = 'a/b': expected letters and digits, with . - _ between them"),
        ("data.preprocess.spacing=[1, 1]", "data.preprocess.spacing.2 is missing"),
        ("data.preprocess.spacing=1", "data.preprocess.spacing = 1: expected a list, such as"),
        ("data.preprocess.spacing=mean", "spacing = 'mean': Input should be 'native' or 'median'"),
    ],
)
def test_an_error_has_no_words_of_programmers(file, setting, told):
    message = refused(file, setting)
    assert told in message
    assert "\n" not in message


# Shared weights


def test_training_is_the_strategy_and_is_not_recorded(file, tmp_path):
    config = read(file)
    assert config.search.strategy == "train" and config.of_candidates() is config
    write_config(config, tmp_path / "out.yaml")
    told = yaml.safe_load((tmp_path / "out.yaml").read_text())["search"]
    assert not {"strategy", "supernet"} & told.keys()
    shared = read(file, "search.strategy=supernet", "search.supernet.cases=3")
    write_config(shared, tmp_path / "out.yaml")
    assert read(tmp_path / "out.yaml") == shared


def test_candidates_are_fine_tuned_for_a_share_of_the_epochs(file):
    settings = ("train.epochs=27", "search.early_stopping.grace=3", "search.strategy=supernet")
    tuned = read(file, *settings).of_candidates()
    assert (tuned.train.epochs, tuned.search.early_stopping.grace) == (9, 1)
    assert tuned.search.early_stopping.rungs(tuned.train) == [(1, 3)]
    assert tuned.search.epochs == 24 * 27, "the search spends what it would"
    short = read(file, *settings, "train.epochs=4").of_candidates()
    assert (short.train.epochs, short.search.early_stopping) == (1, None)
    brackets = ("train.epochs=9", "search.strategy=supernet", "search.early_stopping.brackets=2")
    fewer = read(file, *brackets)
    assert fewer.search.early_stopping.rungs(fewer.train) == [(1, 3), (3,)]
    tuned = fewer.of_candidates()
    assert tuned.search.early_stopping.rungs(tuned.train) == [(1,)], "of 3 epochs"
    whole = read(file, *settings, "search.supernet.fine_tune=null")
    assert whole.of_candidates() is whole


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ("space.name=slimformer", "networks of the space hybrid share weights, and space.name is"),
        ("search.evaluator=mine", "strategy: supernet trains candidates itself, and evaluator is"),
        ("train.deep_supervision=true", "train.deep_supervision = True: a supernet cannot be"),
        ("train.layer_decay=0.9", "train.layer_decay = 0.9: a supernet cannot be trained so"),
        ("search.supernet.share=1", "search.supernet.share = 1"),
        ("search.supernet.fine_tune=0", "search.supernet.fine_tune = 0"),
        ("search.supernet.epoch=3", "search.supernet.epoch"),
        ("search.supernet.cases=0", "search.supernet.cases = 0"),
    ],
)
def test_what_a_supernet_cannot_do_is_refused(file, setting, told):
    assert told in refused(file, "search.strategy=supernet", setting)


def test_another_strategy_is_refused(file):
    assert "search.strategy = 'share'" in refused(file, "search.strategy=share")
