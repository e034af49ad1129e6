"""The sets that can be downloaded: the ten tasks of the Medical Segmentation Decathlon.

Antonelli et al. 2022, https://doi.org/10.1038/s41467-022-30695-9
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from trainers.errors import UserError

MIRROR = "https://msd-for-monai.s3-us-west-2.amazonaws.com"  # AWS open data, kept by MONAI
LICENCE = "CC-BY-SA 4.0"
CITE = "Antonelli et al. 2022, https://doi.org/10.1038/s41467-022-30695-9"


@dataclass(frozen=True)
class OpenSet:
    """One set. `folder`: what its archive unpacks to. `what`: its images, and their classes.

    `labelled`, `unlabelled`: cases. `md5`: of the archive, as MONAI's `DecathlonDataset` has it,
    which is not imported since it takes torch with it.
    """

    folder: str
    what: str
    labelled: int
    unlabelled: int
    md5: str

    @property
    def name(self) -> str:
        """What a person calls it: `hippocampus`."""
        return self.folder.partition("_")[2].lower()

    @property
    def archive(self) -> str:
        """The name of its file at every mirror."""
        return f"{self.folder}.tar"


# fmt: off
OPEN_SETS = (
    OpenSet("Task01_BrainTumour", "MRI (FLAIR, T1, T1 Gd, T2): three parts of gliomas",
            484, 266, "240a19d752f0d9e9101544901065d872"),
    OpenSet("Task02_Heart", "MRI: left atrium",
            20, 10, "06ee59366e1e5124267b774dbd654057"),
    OpenSet("Task03_Liver", "CT: liver, tumours",
            131, 70, "a90ec6c4aa7f6a3d087205e23d4e6397"),
    OpenSet("Task04_Hippocampus", "MRI: anterior, posterior hippocampus",
            260, 130, "9d24dba78a72977dbd1d2e110310f31b"),
    OpenSet("Task05_Prostate", "MRI (T2, ADC): peripheral, transition zone",
            32, 16, "35138f08b1efaef89d7424d2bcc928db"),
    OpenSet("Task06_Lung", "CT: tumours",
            63, 32, "8afd997733c7fc0432f71255ba4e52dc"),
    OpenSet("Task07_Pancreas", "CT: pancreas, tumours",
            281, 139, "4f7080cfca169fa8066d17ce6eb061e4"),
    OpenSet("Task08_HepaticVessel", "CT: vessels of the liver, tumours",
            303, 140, "641d79e80ec66453921d997fbf12a29c"),
    OpenSet("Task09_Spleen", "CT: spleen",
            41, 20, "410d4a301da4e5b2f6f86ec3ddba524e"),
    OpenSet("Task10_Colon", "CT: tumours of the colon",
            126, 64, "bad7a188931dc2f6acf72b08eb6202d0"),
)
# fmt: on


def find_open_set(name: str) -> OpenSet:
    """The set called `hippocampus`, `Task04` or `Task04_Hippocampus`, in upper or lower case.

    Raises UserError, with the nearest name, where there is none.
    """
    names: dict[str, OpenSet] = {}
    for one in OPEN_SETS:
        task = one.folder.partition("_")[0]
        names |= {alias.casefold(): one for alias in (one.name, task, one.folder)}
    if (found := names.get(name.casefold())) is not None:
        return found
    near = difflib.get_close_matches(name.casefold(), names, n=1)
    hint = f"did you mean {names[near[0]].name}? There" if near else "there"
    known = ", ".join(one.name for one in OPEN_SETS)
    raise UserError(f"{name!r} is no set that can be fetched; {hint} are: {known}")
