"""Text for a narrow code page: what it lacks is replaced by what comes near, never by another letter's byte."""

import codecs
from typing import TextIO

ERRORS = "nearest"  # the name of the error handler

# By code point: several of these look like ASCII in an editor.
_NEAR = {
    0x2026: "...",  # ellipsis
    0x2013: "-",  # dashes, minus
    0x2014: "-",
    0x2212: "-",
    0x2018: "'",  # quotation marks
    0x2019: "'",
    0x201C: '"',
    0x201D: '"',
    0x2192: "->",
    0x00D7: "x",  # times
    0x00DF: "ss",  # letters that no accent makes of ASCII's
    0x00F8: "o",
    0x00D8: "O",
    0x00E6: "ae",
    0x00C6: "AE",
    0x0142: "l",
    0x0141: "L",
}


def make_safe(stream: TextIO) -> None:
    """From here on nothing that is printed to `stream` ends in a UnicodeEncodeError."""
    if hasattr(stream, "reconfigure"):
        stream.reconfigure(errors=ERRORS)


def nearest(character: str) -> str:
    """What comes near `character` in ASCII: its letter without accents, or a question mark."""
    import unicodedata

    if ord(character) in _NEAR:
        return _NEAR[ord(character)]
    return unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode() or "?"


def _replace(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(map(nearest, error.object[error.start : error.end])), error.end


codecs.register_error(ERRORS, _replace)
