"""English and Spanish: what the pages say in each, which of the two a person reads, and how dates are written.

https://openid.net/specs/openid-connect-core-1_0.html#AuthRequest (ui_locales), RFC 9110 section 12.5.4 and WCAG 2.2 section 3.1.1
"""

from collections.abc import Iterable
from datetime import datetime
from io import BytesIO
from pathlib import Path
from typing import NewType

from babel import Locale
from babel.dates import format_date, format_time
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import NullTranslations, Translations

Message = NewType("Message", str)
"""English words of a page that the catalogues translate; what is made with this word in the code is found by the test of them."""

ENGLISH = "en"
LANGUAGES = {ENGLISH: "English", "es": "Español"}
"""Every language the pages speak, by its code, in its own words; the first is the default and the language of the messages."""
CATALOGUES = Path(__file__).parent / "locale"
LONGEST_HEADER = 500
"""Characters of a list of languages that are looked at."""

_LOCALES = {language: Locale(language, "US") for language in LANGUAGES}


def _translations(language: str) -> NullTranslations:
    path = CATALOGUES / language / "messages.po"
    if language == ENGLISH:
        return NullTranslations()
    compiled = BytesIO()
    with path.open("rb") as file:
        write_mo(compiled, read_po(file, locale=language))
    compiled.seek(0)
    return Translations(compiled)


TRANSLATIONS: dict[str, NullTranslations] = {language: _translations(language) for language in LANGUAGES}
"""Language to its catalogue, read once at the start."""


def translate(language: str, message: str) -> str:
    """The words in a language; a message without a translation stays English."""
    return str(TRANSLATIONS[language].gettext(message)) if message else ""


def supported(tags: Iterable[str]) -> str:
    """The first of these language tags (BCP 47, the best first) that is spoken here, or ''."""
    codes = (tag.partition("-")[0].strip().lower() for tag in tags)
    return next((code for code in codes if code in LANGUAGES), "")


def accepted(header: str) -> str:
    """The language that an ``Accept-Language`` header likes best of those spoken here, or ''."""
    wishes: list[tuple[float, str]] = []
    for wish in header[:LONGEST_HEADER].split(","):
        tag, _, parameter = wish.partition(";")
        try:
            quality = float(parameter.strip().removeprefix("q=") or 1)
        except ValueError:
            continue
        if 0 < quality <= 1:
            wishes.append((-quality, tag))
    return supported(tag for _, tag in sorted(wishes, key=lambda wish: wish[0]))


def date_words(language: str, moment: datetime) -> str:
    """The day of an aware time in its own zone, e.g. ``November 1, 2026`` or ``1 de noviembre de 2026``."""
    return str(format_date(moment.date(), "long", _LOCALES[language]))


def moment_words(language: str, moment: datetime) -> str:
    """The day and the minute of an aware time in its own zone, e.g. ``November 1, 2026, 1:20 PM``."""
    time = format_time(moment.time(), "short", locale=_LOCALES[language])
    return f"{date_words(language, moment)}, {time}"
