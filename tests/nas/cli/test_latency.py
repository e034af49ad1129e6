"""`segnas latency` from the network's name to the table."""

import json
import re
from typing import get_args

import pytest

from nas.cli.latency import BACKENDS, PRECISIONS
from nas.cli.main import main
from nas.cost.latency.config import Backend, Precision
from search_spaces.registry import architecture_record, find_preset

ARGUMENTS = ["--input", "1x16x16x16", "--classes", "2", "--seconds", "0.05", "--device", "cpu"]


def test_the_command_knows_the_words_of_the_configuration():
    assert get_args(Backend) == BACKENDS
    assert get_args(Precision) == PRECISIONS


def test_json_has_a_row_for_every_combination(capsys):
    more = ["--precision", "fp32,int8", "--volume", "16x16x20", "--batch", "2", "--json"]
    assert main(["latency", "hybrid-xs", *ARGUMENTS, *more]) == 0
    out, err = capsys.readouterr()
    record = json.loads(out)
    assert record["key"] == find_preset("hybrid-xs").key
    measured, refused = record["rows"]
    assert (measured["backend"], measured["precision"], measured["threads"]) == ("eager", "fp32", 1)
    latency = measured["latency"]
    assert latency["conditions"]["shape"] == [2, 1, 16, 16, 16]
    assert latency["patches_per_s"] == pytest.approx(2e3 / latency["p50_ms"])
    volume = latency["volume"]
    assert volume["shape"] == [16, 16, 20]
    assert volume["frames_per_s"] == pytest.approx(20e3 / volume["p50_ms"])
    assert refused["reason"].startswith("precision int8 with backend eager")
    assert "latency" not in refused
    assert "measuring eager, fp32, threads: 1" in err


def test_the_table_has_figures_reasons_and_conditions(segnas):
    out = segnas.printed("latency", "hybrid-xs", *ARGUMENTS, "--threads", "1,99999")
    for column in ("p50 ms", "p90 ms", "p99 ms", "mean ms", "noise", "patches/s"):
        assert column in out
    assert "volumes/s" not in out
    assert re.search(r"eager +fp32 +1 +[\d.]+", out)
    assert re.search(r"eager +fp32 +99999( +-){6}", out)
    assert "eager, fp32, threads 99999: latency.threads = 99999; expected" in out
    assert "batch 1 of 1x16x16x16" in out


def test_exit_status_1_where_every_combination_failed(capsys):
    assert (
        main(["latency", "hybrid-xs", *ARGUMENTS, "--precision", "int8", "--threads", "1,2"]) == 1
    )
    assert capsys.readouterr().out.count("precision int8 with backend eager") == 2


@pytest.mark.slow
def test_pruned_attention_and_pooling_run_in_half_precision(segnas):
    presets = "apformer-3d-xs", "hybrid-adaptive"
    for preset in presets:
        words = (preset, *ARGUMENTS, "--precision", "bf16,fp16")
        rows = segnas.json("latency", *words)["rows"]
        assert [row["latency"]["conditions"]["precision"] for row in rows] == ["bf16", "fp16"]


def test_architecture_files_and_plane_networks_are_taken(tmp_path, segnas):
    path = tmp_path / "mine.json"
    path.write_text(json.dumps(architecture_record(find_preset("apformer-xs"))))
    arguments = ["--input", "1x32x32", "--classes", "2", "--seconds", "0.05"]
    (row,) = segnas.json("latency", path, *arguments)["rows"]
    assert row["latency"]["conditions"]["shape"] == [1, 1, 1, 32, 32]


@pytest.mark.parametrize(
    ("network", "change", "problem"),
    [
        ("hybrid-xxs", [], "hybrid-xs"),
        ("missing.json", [], "missing.json: No such file"),
        ("hybrid-xs", ["--input", "1x17x16x16"], "--input 1x17x16x16: .*multiple of"),
        ("hybrid-xs", ["--device", "gpu"], "--device gpu"),
        ("hybrid-xs", ["--device", "cuda:99"], "latency.device = cuda:99"),
        ("hybrid-xs", ["--batch", "0"], "--batch 0"),
        ("hybrid-xs", ["--seconds", "0"], "--seconds 0"),
    ],
)
def test_wrong_inputs_are_told(network, change, problem, segnas):
    assert re.search(problem, segnas.refused("latency", network, *ARGUMENTS, *change))


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (["--backend", "eager,tvm"], "'tvm'; expected some of eager, compile"),
        (["--precision", "fp8"], "'fp8'; expected some of fp32"),
        (["--threads", "1,none"], "expected counts, like 1,2,4"),
        (["--volume", "240x240"], "expected three sizes"),
    ],
)
def test_wrong_words_are_refused_with_the_right_ones(change, problem, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["latency", "hybrid-xs", *ARGUMENTS, *change])
    assert problem in capsys.readouterr().err
