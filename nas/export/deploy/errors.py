"""What cannot be deployed, and why."""

from __future__ import annotations

from trainers.errors import UserError, first_line, last_line


class DeployError(UserError):
    """This network does not go into this format and precision. Says which operator, and what does.

    Nothing was written.
    """


def reason(error: BaseException) -> str:
    """The line of an exporter's or runtime's message that names the cause, at most 200 letters."""
    while error.__cause__ is not None:
        error = error.__cause__
    text = str(error)
    where = text.partition("raised this error:\n")[2].strip().splitlines()  # of torch.export
    if where:
        return f"{text.splitlines()[0][:120]} at {' '.join(' '.join(where[:2]).split())}"
    line = first_line(error)
    if "TorchScript" in line:  # which tells its interpreter's frames first and the cause last
        line = last_line(error)
    if "ONNXRuntimeError" in line:  # which tells where the file lies first
        line = line.partition(" failed:")[2] or line
    return line if len(line) <= 200 else f"{line[:199]}…"
