"""What a worker needs: Ray imports this where it starts a process; see `worker_environment`.

So the workers of a search import side by side, while the search itself is still being opened. They
do it within the machine lock: no latency is measured meanwhile, and none has to wait for one worker
after the other.
"""

import os
from contextlib import suppress

from nas.cost.latency_probe.machine_lock import MachineLock
from nas.engine.worker_environment import MACHINE_LOCK
from trainers.errors import UserError

# A lock that cannot be trusted is told of by the worker itself, which takes it as well.
with suppress(UserError), MachineLock.named(os.environ[MACHINE_LOCK]).shared():
    import nas.engine.train_from_scratch
    import nas.engine.trial_worker  # noqa: F401
