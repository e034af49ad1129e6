"""The searches that are compared: one line each."""

from __future__ import annotations

from collections.abc import Mapping

from .ours import Ours
from .peers import KINDS, Peer
from .stock import Stock

Setup = Stock | Ours | Peer

RANDOM, OURS = "random", "segnas"

STOCK: Mapping[str, Setup] = {
    "OptunaSearch, NSGA-II": Stock("nsga2"),
    "OptunaSearch, NSGA-II, ASHA": Stock("nsga2", asha=True),
    "OptunaSearch, TPE": Stock("tpe"),
    "OptunaSearch, TPE, ASHA": Stock("tpe", asha=True),
}

PEERS: Mapping[str, Setup] = {name: Peer(name) for name in KINDS}

SETUPS: Mapping[str, Setup] = {
    RANDOM: Stock("random"),
    **STOCK,
    OURS: Ours(),
    "no early stopping": Ours({"early_stopping": None}),
    "reduction 2": Ours({"early_stopping": {"reduction": 2}}),
    "reduction 4": Ours({"early_stopping": {"reduction": 4}}),
    "repeats trained again": Ours(repeats=True),
    "random start": Ours({"startup_sampler": "random"}),
    "quasi-random start": Ours({"startup_sampler": "qmc"}),
    "with TPE": Ours({"sampler": "tpe"}),
    "with TPE, ten quasi-random first": Ours(
        {"sampler": "tpe", "startup": 10, "startup_sampler": "qmc"}
    ),
    "startup 5": Ours({"startup": 5}),
    "startup 10": Ours({"startup": 10}),
    "with NSGA-II": Ours({"sampler": "nsga2"}),
    "with NSGA-III": Ours({"sampler": "nsga3"}),
    "with random proposals": Ours({"sampler": "random"}),
    "without the ladder": Ours({"warm_start": []}),
}
