"""What MLflow is told of a search."""

from nas.search.search_info import search_info
from tests.nas.small_run import config


def test_no_password_of_the_store_is_shown_to_who_reads_the_run():
    run = config(tracking={"uri": "postgresql://me:secret@db/mlflow"})
    told = search_info(run, "id").config_yaml
    assert "postgresql://db/mlflow" in told
    assert "secret" not in told
