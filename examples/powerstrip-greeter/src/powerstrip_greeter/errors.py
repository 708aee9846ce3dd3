"""What can go wrong with greetings."""


class UnknownLanguageError(Exception):
    """Nobody here speaks that language."""

    def __init__(self, language: str) -> None:
        self.language = language
        super().__init__(f"nobody here speaks {language!r}")
