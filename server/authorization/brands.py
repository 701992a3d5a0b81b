"""The brands under which members know the payer, from the settings or the rows of a TOML file.

https://hl7.org/fhir/smart-app-launch/STU2.2/brands.html
"""

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from server.settings import Settings

WEB_ADDRESS = "urn:ietf:rfc:3986"
"""The identifier system of an address on the web."""
CATEGORIES = (
    *("prov", "ins", "laboratory", "imaging", "pharmacy"),
    *("health-information-network", "health-data-aggregator"),
)
"""http://hl7.org/fhir/smart-app-launch/ValueSet/user-access-category"""
ADDRESS = {"street": "line", "city": "city", "state": "state", "postal_code": "postalCode", "country": "country"}
"""A part of an address as the file writes it, to the element of a FHIR Address."""
_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")
_TEXTS = ("id", "name", "website", "portal_name", "portal_url", "portal_description", "part_of")
_LISTS = ("aliases", "categories", "logos", "identifiers")


class BrandsError(ValueError):
    """What is wrong with BRANDS_FILE or a BRAND setting, in one line."""


@dataclass(frozen=True, slots=True)
class Brand:
    """One brand: how a member knows it, and where its members manage their access.

    ``identifiers``: system|value, the first is the one by which others refer to it. ``part_of``: the id of the brand whose portal
    its members use. ``addresses``: parts by the names of ``ADDRESS``.
    """

    id: str
    name: str
    website: str
    identifiers: tuple[str, ...]
    aliases: tuple[str, ...]
    categories: tuple[str, ...]
    logos: tuple[str, ...]
    portal_name: str
    portal_url: str
    portal_description: str
    part_of: str
    addresses: tuple[Mapping[str, str], ...]


def brands(settings: Settings) -> tuple[Brand, ...]:
    """The brands, the payer's own first. Raises BrandsError."""
    own: dict[str, Any] = {
        "id": "payer",
        "name": settings.payer_name,
        "website": settings.brand_website or settings.base_url,
        "aliases": list(settings.brand_aliases),
        "categories": list(settings.brand_categories),
        "logos": list(settings.brand_logos),
        "identifiers": [settings.brand_identifier] if settings.brand_identifier else [],
        "portal_url": settings.base_url + "/account",
    }
    if settings.brands_file is not None:
        return _read(settings.brands_file, own)
    try:
        return (_brand(own),)
    except ValueError as error:
        raise BrandsError(f"the BRAND settings: {error}") from error


def _read(path: Path, own: Mapping[str, Any]) -> tuple[Brand, ...]:
    """The rows of the file; what the first leaves out is as the settings say."""
    try:
        rows = tomllib.loads(path.read_text("utf-8")).get("brand", [])
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BrandsError(f"BRANDS_FILE {path}: {error}") from error
    if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
        raise BrandsError(f"BRANDS_FILE {path} has no [[brand]] rows")
    others = {name: own[name] for name in ("portal_url", "categories")}
    found: list[Brand] = []
    for number, row in enumerate(rows, start=1):
        try:
            found.append(_brand({**(own if number == 1 else others), **row}))
        except ValueError as error:
            raise BrandsError(f"BRANDS_FILE {path}, brand {number}: {error}") from error
    for problem in _contradictions(found):
        raise BrandsError(f"BRANDS_FILE {path}: {problem}")
    return tuple(found)


def _brand(row: Mapping[str, Any]) -> Brand:
    """One row. Raises ValueError for what it must not say or leaves out."""
    unknown = set(row) - {*_TEXTS, *_LISTS, "addresses"}
    if unknown:
        raise ValueError(f"unknown: {', '.join(sorted(unknown))}")
    texts = {name: row.get(name, "") for name in _TEXTS}
    lists = {name: row.get(name, []) for name in _LISTS}
    addresses = row.get("addresses", [])
    if not all(isinstance(value, str) for value in texts.values()):
        raise ValueError(f"{', '.join(_TEXTS)} are texts")
    if not all(isinstance(value, list) and all(isinstance(one, str) for one in value) for value in lists.values()):
        raise ValueError(f"{', '.join(_LISTS)} are lists of texts")
    if not isinstance(addresses, list) or not all(_is_address(one) for one in addresses):
        raise ValueError(f"addresses are tables of texts: {', '.join(ADDRESS)}")
    if not _ID.fullmatch(texts["id"]) or not texts["name"]:
        raise ValueError("id (1 to 64 letters, digits, - and .) and name are needed")
    for name, value in (("website", texts["website"]), ("portal_url", texts["portal_url"])):
        if not _is_web_address(value):
            raise ValueError(f"{name} must be an address that starts with https://, not '{value}'")
    for logo in lists["logos"]:
        if not logo.startswith(("https://", "data:image/")):
            raise ValueError(f"a logo must start with https:// or data:image/, not '{logo[:40]}'")
    if unknown := set(lists["categories"]) - set(CATEGORIES):
        raise ValueError(f"{', '.join(sorted(unknown))} is no category; choose of {', '.join(CATEGORIES)}")
    for identifier in lists["identifiers"]:
        if not all(identifier.rpartition("|")[::2]):
            raise ValueError(f"an identifier is written system|value, not '{identifier}'")
    identifiers = lists["identifiers"] or [f"{WEB_ADDRESS}|{web_presence(texts['website'])}"]
    return Brand(
        **texts,
        aliases=tuple(lists["aliases"]),
        categories=tuple(lists["categories"]),
        logos=tuple(lists["logos"]),
        identifiers=tuple(identifiers),
        addresses=tuple(addresses),
    )


def web_presence(website: str) -> str:
    """The address by which brands are recognised: https, without www. and without a path."""
    return f"https://{urlsplit(website).netloc.removeprefix('www.')}"


def _is_web_address(value: str) -> bool:
    return value.startswith(("https://", "http://")) and bool(urlsplit(value).hostname) and value.isprintable()


def _is_address(value: Any) -> bool:
    return (
        isinstance(value, dict) and set(value) <= set(ADDRESS) and all(isinstance(one, str) for one in value.values())
    )


def _contradictions(found: Sequence[Brand]) -> Iterator[str]:
    for what, values in (
        ("id", [brand.id for brand in found]),
        ("identifier", [one for brand in found for one in brand.identifiers]),
    ):
        twice = sorted({value for value in values if values.count(value) > 1})
        if twice:
            yield f"the {what} {twice[0]} stands twice; every brand needs its own"
    if found[0].part_of:
        yield "the first brand is the payer's own and cannot be part_of another"
    whole = {brand.id for brand in found if not brand.part_of}
    for brand in found:
        if brand.part_of and brand.part_of not in whole:
            yield f"part_of of {brand.id} must name a brand that is itself part of none"
