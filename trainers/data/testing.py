"""The contract of every source of data, for a source of your own to prove itself with pytest."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import TypeAdapter

from trainers.data.check import check_dataset
from trainers.data.config import Preprocess
from trainers.data.registry import DataConfig, find_source
from trainers.data.source import SourceConfig
from trainers.errors import UserError
from trainers.volumes.files import files_of


class DataSourceContract:
    """Tests of one source for pytest to collect.

    Subclass it in a test file, under a name that pytest collects, and write `make`. Every test
    makes a data set of its own, so a few small cases do. The package that offers the source has to
    be installed: it is looked for by its name.
    """

    def make(self, folder: Path) -> SourceConfig:
        """Write a few good cases into `folder`, which exists, and return their configuration.

        `folder` is a relative path, and so are the paths of the configuration.
        """
        raise NotImplementedError

    @pytest.fixture
    def config(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SourceConfig:
        """What `make` gives, in a working directory of its own."""
        monkeypatch.chdir(tmp_path)
        Path("data").mkdir()
        return self.make(Path("data"))

    def test_it_is_found_by_its_name(self, config: SourceConfig) -> None:
        assert find_source(config.source) is type(config)

    def test_its_configuration_survives_json(self, config: SourceConfig) -> None:
        adapter: TypeAdapter[SourceConfig] = TypeAdapter(DataConfig)
        again = adapter.validate_json(config.model_dump_json())
        assert again == config, f"{config!r} came back as {again!r}"

    def test_cases_are_sorted_by_name_and_named_once(self, config: SourceConfig) -> None:
        names = [case.name for case in config.open(Path("work")).cases]
        assert len(names) > 1, f"{len(names)} cases; expected two or more to split"
        assert names == sorted(set(names)), f"the cases are {names}"

    def test_volumes_have_its_modalities_and_classes(self, config: SourceConfig) -> None:
        source = config.open(Path("work"))
        assert len(source.modalities) > 0, "no modality; expected a name for each channel"
        assert len(source.classes) > 1, f"classes {source.classes}; expected background and more"
        assert tuple(source.targets.classes) == tuple(source.classes), "targets of other classes"
        check_dataset(source)

    def test_a_missing_file_is_a_case_that_the_check_names(self, config: SourceConfig) -> None:
        source = config.open(Path("work"))
        lost = source.cases[-1]
        lost.label.unlink()
        with pytest.raises(UserError, match=lost.name):
            check_dataset(config.open(Path("work")))

    def test_the_same_data_have_the_same_fingerprint(self, config: SourceConfig) -> None:
        first, again = (fingerprint(config) for _ in range(2))
        assert first == again, f"opened twice, the fingerprints are {first} and {again}"

    def test_other_preprocessing_has_another_fingerprint(self, config: SourceConfig) -> None:
        source = config.open(Path("work"))
        one, other = (Preprocess(spacing=spacing) for spacing in ((1.0, 1.0, 1.0), "native"))
        assert source.fingerprint(one) != source.fingerprint(other)

    @pytest.mark.parametrize("part", ["image", "label"])
    def test_another_file_has_another_fingerprint(self, config: SourceConfig, part: str) -> None:
        before = fingerprint(config)
        file, *_ = files_of(getattr(config.open(Path("work")).cases[0], part))
        file.write_bytes(file.read_bytes() + b" ")
        assert fingerprint(config) != before, f"{file} changed and the fingerprint did not"

    def test_it_is_found_from_any_working_directory(
        self, config: SourceConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        here = config.open(tmp_path / "work")
        portable = config.portable()
        (tmp_path / "elsewhere").mkdir()
        monkeypatch.chdir(tmp_path / "elsewhere")
        there = portable.open(tmp_path / "work")
        assert [case.name for case in there.cases] == [case.name for case in here.cases]
        check_dataset(there)

    def test_it_tells_its_name(self, config: SourceConfig) -> None:
        assert config.about().name


def fingerprint(config: SourceConfig) -> str:
    """Of the data as they are now."""
    return config.open(Path("work")).fingerprint(Preprocess())
