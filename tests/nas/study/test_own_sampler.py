"""A sampler that an installed package offers."""

from tests.installed_package import files_of_page, install, said_by_tests


def test_the_sampler_of_the_page_keeps_the_contract(tmp_path):
    install(files_of_page("own-sampler.md"), tmp_path)
    assert "10 passed" in said_by_tests(tmp_path, "test_neighbours.py")
