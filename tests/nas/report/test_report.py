import csv
import shutil
import struct
from dataclasses import replace

import pytest
from matplotlib.figure import Figure

from nas.report.axes_style import log_axis
from nas.report.plots import staircase
from nas.report.read_search import read_search
from nas.report.tables import escaped, latex_table, markdown_table
from nas.report.write_report import write_report
from nas.study.folder_lock import alone_in
from nas.study.stored_results import complete_results
from nas.tracking import TrackedRuns
from search_spaces.registry import find_preset
from tests.disk import read_only, small_disk
from tests.nas.results import flat_result
from tests.nas.small_search import FRONT, ended_search
from trainers.errors import UserError


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    folder = tmp_path_factory.mktemp("a search")
    ended_search(folder)
    return folder


@pytest.fixture(scope="module")
def report(directory, tmp_path_factory):
    """The folder of its report."""
    to = tmp_path_factory.mktemp("to") / "new" / "report"
    write_report(*read_search(directory), to)
    return to


def member(dice, params, latency_ms=None):
    return flat_result(key=f"{params}", dice=dice, params=params, latency_ms=latency_ms)


def test_ticks_that_lie_near_each_other_are_told_apart():
    ax = Figure().subplots()
    log_axis(ax, "x", "latency_ms", [12.34])
    ticks = [tick.get_text() for tick in ax.get_xticklabels()]
    assert "12.35 ms" in ticks and len(set(ticks)) == len(ticks) > 2


def test_the_command_names_the_files_it_wrote(directory, segnas):
    written = segnas.printed("report", directory).split("\n")
    names = {line.rpartition("/")[2] for line in written if line}
    assert names == {
        *("report.md", "front.html", "front.csv", "front.json", "front.tex"),
        *("front.png", "front.pdf", "curves.png", "curves.pdf"),
    }
    assert {path.name for path in (directory / "report").iterdir()} == names


def test_the_page_leads_to_the_runs_of_a_server_that_answers(
    directory, tmp_path, monkeypatch, segnas
):
    [member, *_] = read_search(directory)[1].members
    runs = TrackedRuns({member.name: "0123"}, "http://server/#/experiments/1/runs/")
    monkeypatch.setattr("nas.tracking.lookup.find_trial_runs", lambda *_: runs)
    segnas.printed("report", directory, "--to", tmp_path / "a")
    page = (tmp_path / "a" / "front.html").read_text()
    assert runs.address in page and '"run":"0123"' in page


def test_the_tables_hold_the_front_from_small_to_large(report):
    rows = list(csv.DictReader((report / "front.csv").open()))
    assert [(float(row["dice"]), int(row["params"])) for row in rows] == FRONT
    text = (report / "report.md").read_text()
    cells = [line.split(" | ")[1:3] for line in text.splitlines() if line.startswith("| `")]
    assert cells == [["0.7000", "1 k"], ["0.8000", "2 k"], ["0.9000", "40 k"]]
    [cheap] = [line for line in text.splitlines() if "for what they cost alone" in line]
    keys = [line.split("`")[1] for line in text.splitlines() if line.startswith("| `")]
    assert cheap.endswith(f"below 0.8100, 0.9 of the best: `{keys[0]}`, `{keys[1]}`.")


def test_the_summary_counts_every_candidate(report):
    text = (report / "report.md").read_text()
    assert "5 candidates" in text
    assert "4 trained whole, 1 stopped early, 0 infeasible. 3 are on the Pareto front" in text
    assert "13 in all" in text  # epochs: four times three, and one


def test_every_picture_of_the_text_is_there(report):
    text = (report / "report.md").read_text()
    linked = [part.partition(")")[0] for part in text.split("](")[1:]]
    assert linked
    assert all((report / name).is_file() for name in linked)


def test_pictures_are_fit_for_print(report):
    content = (report / "front.png").read_bytes()
    place = content.index(b"pHYs") + 4
    across, up, unit = struct.unpack(">IIB", content[place : place + 9])
    assert (across, up, unit) == (11811, 11811, 1)  # dots a metre: 300 an inch
    assert (report / "front.pdf").read_bytes().startswith(b"%PDF")


def test_latex_rows_have_a_cell_a_column_and_the_best_are_bold(directory):
    text = latex_table(read_search(directory)[1])
    for rule in (r"\toprule", r"\midrule", r"\bottomrule"):
        assert text.count(rule) == 1
    rows = [line for line in text.splitlines() if line.endswith(r"\\")]
    kinds = text.partition(r"\begin{tabular}{")[2].partition("}")[0]
    assert {row.count("&") + 1 for row in rows} == {len(kinds)}
    smallest, _, best = rows[1:]
    assert r"\textbf{1\,k}" in smallest
    assert r"\textbf{0.9000}" in best
    assert r"\textbf{0.9000}" not in smallest
    assert text.count("{") == text.count("}")


def test_names_cannot_be_latex_commands():
    assert escaped(r"50% of_a \input{x}") == r"50\% of\_a \textbackslash{}input\{x\}"


def test_the_staircase_leaves_out_who_costs_more_and_is_no_better():
    members = [member(0.8, 100, 9.0), member(0.85, 200, 2.0), member(0.7, 300, 1.0)]
    assert staircase(members, "params") == [(100, 0.8), (200, 0.85)]
    assert staircase(members, "latency_ms") == [(1.0, 0.7), (2.0, 0.85)]


def test_a_search_without_a_front_is_told_without_pictures_of_it(tmp_path):
    ended_search(tmp_path, ends=[(None, 1_000)])
    written = write_report(*read_search(tmp_path), tmp_path / "report")
    assert "there is no front" in (tmp_path / "report" / "report.md").read_text()
    assert not {"front.tex", "front.png"} & {path.name for path in written}


def test_several_classes_have_a_column_each(directory):
    record = replace(read_search(directory)[1], classes=("left", "right"))
    head = markdown_table(record)
    assert head.startswith("| Network | Dice | left | right | Parameters |")


def test_baselines_have_rows_of_their_own_and_a_verdict(directory, tmp_path):
    config, found = read_search(directory)
    beside = flat_result(
        space="baselines",
        key="0123456789",
        architecture=find_preset("unet-s").to_json(),
        dice=0.75,
        params=30_000,
        baseline="unet-s",
    )
    write_report(config, replace(found, baselines=[beside]), tmp_path)
    text = (tmp_path / "report.md").read_text()
    assert "| unet-s (baseline) | 0.7500 | 30 k |" in text
    assert "The front is better than every baseline at its cost: unet-s (Dice 0.7500)." in text
    assert "3 are on the Pareto front" in text
    assert r"unet-s (baseline) & 0.7500 & 30\,k & -- \\" in (tmp_path / "front.tex").read_text()


def test_compressed_networks_have_rows_of_their_own(directory, tmp_path):
    config, found = read_search(directory)
    how = {"method": "low-rank", "of": "0123456789", "weights": ""}
    beside = replace(found.members[0], key="9876543210", dice=0.99, compressed=how)
    write_report(config, replace(found, compressed=[beside]), tmp_path)
    text = (tmp_path / "report.md").read_text()
    assert "| `9876543210` (low-rank of 0123456789) | 0.9900 |" in text
    assert "made from it after the search" in text
    assert "3 are on the Pareto front" in text
    latex = (tmp_path / "front.tex").read_text()
    assert r"\texttt{9876543210} (low-rank of 0123456789) & \textbf{0.9900}" in latex


def test_a_folder_that_is_no_search_is_one_clear_error(tmp_path, segnas):
    assert "is no search: journal.log is missing" in segnas.refused("report", tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_search_that_is_running_is_left_alone(directory):
    with alone_in(directory), pytest.raises(UserError, match="another search is running"):
        read_search(directory)


def test_a_search_is_read_where_nothing_can_be_written(directory, tmp_path):
    (archive := tmp_path / "archive").mkdir()
    with small_disk(archive, 2**24):
        own = shutil.copytree(directory, archive / "run")
        before = {path: path.stat().st_mtime_ns for path in own.rglob("*")}
        with read_only(archive):
            config, record = read_search(own)
            assert record.members == read_search(directory)[1].members
            assert complete_results(own, config.space.name, config.budget)
            assert write_report(config, record, tmp_path / "report")
        assert {path: path.stat().st_mtime_ns for path in own.rglob("*")} == before


def test_a_place_that_cannot_be_written_is_told(directory, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        write_report(*read_search(directory), tmp_path / "file" / "report")
