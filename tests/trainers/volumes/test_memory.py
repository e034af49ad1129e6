"""The memory that a process may use."""

import psutil
import pytest

from trainers.volumes.memory import VERSION_1, VERSION_2, free_memory, total_memory

MIB = 2**20


def write(folder, version, most, used, gives_way):
    *files, kept = version
    for file, text in zip(files, (most, used, f"anon 1\n{kept} {gives_way}"), strict=True):
        (folder / file).parent.mkdir(exist_ok=True)
        (folder / file).write_text(f"{text}\n")


@pytest.mark.parametrize("version", [VERSION_1, VERSION_2])
def test_the_memory_is_that_of_the_container(tmp_path, version):
    write(tmp_path, version, 64 * MIB, 48 * MIB, 8 * MIB)
    assert total_memory(tmp_path) == 64 * MIB
    assert free_memory(tmp_path) == 24 * MIB


@pytest.mark.parametrize("most", ["max", 2**63 - 4096])
def test_without_a_limit_it_is_the_machine_s(tmp_path, most):
    write(tmp_path, VERSION_2, most, 48 * MIB, 0)
    assert total_memory(tmp_path) == psutil.virtual_memory().total
    assert free_memory(tmp_path) == pytest.approx(psutil.virtual_memory().available, rel=0.1)


def test_a_container_that_is_full_has_nothing_left(tmp_path):
    write(tmp_path, VERSION_2, 64 * MIB, 65 * MIB, 0)
    assert free_memory(tmp_path) == 0
