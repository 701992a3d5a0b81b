"""MEASURES: the two annual usage measures, with the regulation's words and where they stand.

42 CFR 431.60(f), as quoted by CMS; parallels 42 CFR 422.119, 438.242, 457.730 and 457.1233 and 45 CFR 156.221 (there: "enrollees").
"""

from dataclasses import dataclass

CITATION = (
    "42 CFR 431.60(f); for other programs the parallel text of 42 CFR 422.119, 438.242, 457.730 and 457.1233 and "
    "45 CFR 156.221 (CMS-0057-F, 89 FR 8758)"
)


@dataclass(frozen=True, slots=True)
class Measure:
    """A count of unique persons. ``at_least``: the distinct transfer occasions that make a person count."""

    slug: str
    title: str
    wording: str
    citation: str
    at_least: int

    def counts(self, occasions: int) -> bool:
        """Whether a person with so many distinct transfer occasions counts."""
        return occasions >= self.at_least


MEASURES = (
    Measure(
        slug="unique-patients",
        title="Unique patients",
        wording=(
            "The total number of unique beneficiaries whose data are transferred via the Patient Access API to a health "
            "app designated by the beneficiary"
        ),
        citation=CITATION,
        at_least=1,
    ),
    Measure(
        slug="unique-patients-more-than-once",
        title="Unique patients, more than once",
        wording=(
            "The total number of unique beneficiaries whose data are transferred more than once via the Patient Access "
            "API to a health app designated by the beneficiary"
        ),
        citation=CITATION,
        at_least=2,
    ),
)
"""In the regulation's order. Every later measure counts no more persons than the one before it."""
