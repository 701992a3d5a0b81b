"""What a resource is found by: its search parameters' values as typed index entries.

https://hl7.org/fhir/R4/search.html#token, #reference, #date and #string
"""

import unicodedata

_LETTERS_WITHOUT_DECOMPOSITION = str.maketrans(
    {"ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "ı": "i", "ħ": "h"}  # noqa: RUF001
)
_DROPPED = frozenset("'`´ʼ‘’.")  # noqa: RUF001 - so that O'Brien and OBrien, St. and St are the same


def fold(text: str) -> str:
    """A string as it is compared in searches: lower case, without accents; punctuation is a space or, inside words, nothing.

    The same function folds stored and searched values. The result may be empty (nothing but punctuation).
    """
    if not text.isascii():
        decomposed = unicodedata.normalize("NFKD", text.casefold())
        text = "".join(letter for letter in decomposed if not unicodedata.combining(letter))
        text = text.translate(_LETTERS_WITHOUT_DECOMPOSITION)
    kept = "".join(letter if letter.isalnum() else "" if letter in _DROPPED else " " for letter in text.casefold())
    return " ".join(kept.split())
