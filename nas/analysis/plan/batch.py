"""How many patches a training step has."""

from __future__ import annotations

from nas.analysis.plan.choice import Choice
from nas.analysis.plan.machine import MachineFacts

LEAST, MOST = 2, 8
OF_ALL = 0.05  # share of the voxels of all cases that a step sees at most


def choose_batch(
    machine: MachineFacts, patch_voxels: int, voxels: int, memory: float, most: float
) -> Choice[int]:
    """Two patches; on a GPU with room and time for more, more.

    `voxels`: of all cases; `memory`: bytes of a step of two patches of the largest network that the
    limits allow; `most`: how many times slower a step may be. A step sees at most 5% of the data
    (Isensee et al. 2021, nnU-Net, Supplementary Note 2).
    """
    batch = LEAST
    if not machine.gpus:
        return Choice(batch, "the least with which steps are stable, as in nnU-Net; more is slower")
    while 2 * batch <= MOST:
        factor = batch  # of twice as many, over two
        if (
            factor > most
            or factor * memory > machine.trial_memory
            or 2 * batch * patch_voxels > OF_ALL * voxels
        ):
            break
        batch *= 2
    return Choice(batch, "as many as memory and time allow, at least two, as in nnU-Net")
