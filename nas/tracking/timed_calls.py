"""Calls of a store that may never answer: made in a thread, and waited for only so long."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from math import inf
from pathlib import Path
from threading import Thread
from time import monotonic
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlflow import MlflowClient

HOLD = 5.0  # seconds that a search is held up at most by one report, or by its opening
SENT = 1e5  # bytes a second of a file, at least: it is one answer, however large
SILENCE = 10.0  # seconds between two answers that its closing, and other commands, wait at most


class TimedCalls:
    """Makes one call at a time, in a thread of its own, and waits for it only so long.

    MLflow's time-outs are those of a single read of a socket, and a database may have none: a store
    that sends a byte now and then, or whose lock is never given back, holds its caller for ever.
    A call that is not waited for any more goes on in its thread, and no other is made before it has
    ended.
    """

    def __init__(self) -> None:
        self._thread: Thread | None = None
        self._error: BaseException | None = None
        self._given_up = False
        self._began = -inf
        self.heard_at = -inf  # when the store last answered

    def hear(self, ahead: float = 0.0) -> None:
        """The store has answered, now; called by what is run. `ahead`: so many seconds more than
        usual may pass until it answers again."""
        self.heard_at = monotonic() + ahead

    def run(self, work: Callable[[], object], hold: float = inf, silence: float = SILENCE) -> bool:
        """Have `work` done. Returns whether it was: False where a call goes on without us.

        `hold`: the seconds that are waited in all. `silence`: those without an answer, after which
        TimeoutError is raised, also for a call before this one. Raises what `work` raises.
        """
        if not self.ended(hold, silence):
            return False
        self._began, self._given_up = monotonic(), False
        self._thread = Thread(target=self._do, args=(work,), name="MLflow", daemon=True)
        self._thread.start()
        return self.ended(hold, silence)

    def ended(self, hold: float, silence: float) -> bool:
        """Whether no call goes on any more, once it is waited for. Raises as `run` does."""
        if self._thread is None:
            return True
        while self._thread.is_alive():
            silent_since, now = max(self._began, self.heard_at), monotonic()
            if now >= silent_since + silence:
                self._given_up = True
                raise TimeoutError(f"no answer within {silence:g} s")
            if now >= self._began + hold:
                return False
            self._thread.join(min(silent_since + silence, self._began + hold) - now)
        error, self._thread, self._error = self._error, None, None
        if error and not self._given_up:
            raise error
        return True

    def _do(self, work: Callable[[], object]) -> None:
        try:
            work()
        except BaseException as error:  # raised where it is waited for
            self._error = error


class HeardClient:
    """MLflow's client, which calls `hear` after every answer, and before a file is sent with the
    seconds that it may take."""

    def __init__(self, client: MlflowClient, hear: Callable[..., None]) -> None:
        self._client, self._hear = client, hear

    def log_artifact(self, run_id: str, path: str) -> None:
        """As MLflow's."""
        self._hear(Path(path).stat().st_size / SENT)
        try:
            self._client.log_artifact(run_id, path)
        finally:
            self._hear()

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, name)

        @wraps(method)
        def call(*args: Any, **options: Any) -> Any:
            answer = method(*args, **options)
            self._hear()
            return answer

        return call
