"""What the person at the keyboard can mend."""


class UserError(Exception):
    """Bad input. The message says what was found, where, what is expected and what to do."""


class DoubtWarning(UserWarning):
    """What is doubtful of one volume: `volume` is its file or another name, `told` the rest."""

    def __init__(self, volume: object, told: str) -> None:
        super().__init__(f"{volume} {told}")
        self.told = told
