"""What benchmarks go on with."""

from benchmarks.json_lines import append, read


def test_a_line_that_was_cut_off_is_none_and_spoils_no_other(tmp_path):
    file = tmp_path / "a.jsonl"
    assert read(file) == []
    append(file, {"dice": 0.5})
    with file.open("a") as opened:
        opened.write('{"dice": 0.')
    append(file, {"dice": 0.7})
    assert read(file) == [{"dice": 0.5}, {"dice": 0.7}]
