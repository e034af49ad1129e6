"""What the person at the keyboard can mend."""


class UserError(Exception):
    """Bad input. The message says what was found, where, what is expected and what to do."""


class DoubtWarning(UserWarning):
    """What is doubtful of one volume: `volume` is its file or another name, `told` the rest."""

    def __init__(self, volume: object, told: str) -> None:
        super().__init__(str(volume), told)  # with which it is made again in another process
        self.told = told

    def __str__(self) -> str:
        return " ".join(self.args)
