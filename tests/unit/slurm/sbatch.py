"""How sbatch reads #SBATCH lines: words end at white space, which quotes and backslashes keep; # ends a line."""

from __future__ import annotations

PREFIX, SPACE = "#SBATCH", " \t\v\f\r"


def read_directives(script: str) -> list[str]:
    """Return the options in a script, of lines up to the first that is no comment. Raises ValueError for none."""
    options: list[str] = []
    for line in script.split("\n"):
        if line and not line.startswith("#"):
            break
        if line.startswith(PREFIX):
            options += read_words(line.removeprefix(PREFIX))
    if not options:
        raise ValueError("no directives")
    return options


def read_words(line: str) -> list[str]:
    """Split as sbatch does: a backslash takes the next byte as it is, in quotes too; but a space only there."""
    words: list[str] = []
    word: list[str] | None = None
    quote = ""
    letters = iter(line)
    for letter in letters:
        if letter == "\\":
            taken = next(letters)
            if quote or taken not in SPACE:
                word = [*(word or []), taken]
            elif word is not None:
                words.append("".join(word))
                word = None
        elif quote:
            if letter == quote:
                quote = ""
            else:
                word = [*(word or []), letter]
        elif letter in "'\"":
            quote, word = letter, word or []
        elif letter in SPACE:
            if word is not None:
                words.append("".join(word))
            word = None
        elif letter == "#":
            break
        else:
            word = [*(word or []), letter]
    return words if word is None else [*words, "".join(word)]
