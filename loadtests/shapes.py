"""THE ROWS of traffic: a shape is who does what, how many at what time, whose records they ask for, and how long they pause.

https://docs.locust.io/en/stable/custom-load-shape.html - ``patient-access loadtest --shape NAME`` runs one; docs/load-testing.md has
the same table, which a test compares with these rows.
"""

from dataclasses import dataclass
from itertools import chain, zip_longest

ALL_DAY = ((1.0, 1.0),)
RAMP = 0.1
"""The share of the time over which users arrive."""


@dataclass(frozen=True, slots=True)
class Share:
    """A part of the users: their journey (a key of ``loadtests.journeys.JOURNEYS``), how many in proportion, and how many seconds lie
    between two of one user's visits, on average."""

    journey: str
    weight: int
    between: float


@dataclass(frozen=True, slots=True)
class Shape:
    """One kind of traffic.

    ``curve``: (until this share of the time, this share of the users). ``skew``: the exponent of Zipf's law over the manifest's logins, 0
    for all alike; ``heavy``: only logins that are marked heavy. ``person`` and ``app``: seconds that a person looks at a page and that an
    app pauses between requests, on average. ``together``: when not 0, all visits begin at once, every so many seconds of the clock.
    """

    name: str
    title: str
    story: str
    shares: tuple[Share, ...]
    curve: tuple[tuple[float, float], ...] = ALL_DAY
    skew: float = 1.0
    heavy: bool = False
    person: float = 4.0
    app: float = 0.2
    together: float = 0.0

    def users_at(self, share: float, users: int) -> int:
        """How many of the users there are when this share (0 to 1) of the time is over; at least one."""
        part = next((part for until, part in self.curve if share < until), self.curve[-1][1])
        return max(1, round(users * part))

    def journeys(self) -> tuple[Share, ...]:
        """The shares in the order in which users take them: each in turn, so that few users do of everything something."""
        rounds = zip_longest(*([share] * share.weight for share in self.shares))
        return tuple(share for share in chain.from_iterable(rounds) if share is not None)


SHAPES = (
    Shape(
        "steady-day",
        "Steady day",
        "Apps look for news a few times a day, some members connect a new app and stop it again; two peaks.",
        (Share("daily sync", 4, 20.0), Share("whole dance", 1, 10.0)),
        curve=((0.2, 0.6), (0.4, 1.0), (0.6, 0.7), (0.85, 1.0), (1.0, 0.5)),
    ),
    Shape(
        "monthly-sync-storm",
        "Monthly sync storm",
        "On the first of the month every app fetches everything of its members again, all in the same minutes.",
        (Share("full sync", 1, 30.0),),
        app=0.05,
    ),
    Shape(
        "launch-day",
        "New-app launch day",
        "An app is in the news: more and more members sign in, allow it, and it fetches everything for the first time.",
        (Share("first launch", 1, 3.0),),
        curve=((0.2, 0.2), (0.4, 0.4), (0.6, 0.7), (1.0, 1.0)),
        skew=0.0,
    ),
    Shape(
        "token-expiry-stampede",
        "Token-expiry stampede",
        "Access tokens were issued together and end together: all apps refresh in the same second, then read.",
        (Share("refresh and read", 1, 0.0),),
        app=0.0,
        together=15.0,
    ),
    Shape(
        "heavy-member",
        "One member with 5,000 claims",
        "Several apps page through all claims of a member who has thousands, while others sync as usual.",
        (Share("all claims by page", 2, 5.0), Share("daily sync", 1, 10.0)),
        heavy=True,
        app=0.05,
    ),
    Shape(
        "everything-crawlers",
        "$everything crawlers",
        "Apps that know one operation only: Patient/$everything, every page, again and again.",
        (Share("$everything crawl", 1, 1.0),),
        skew=0.5,
        app=0.0,
    ),
    Shape(
        "dead-token",
        "An abusive client with a dead token",
        "A client whose grant was revoked keeps asking without a pause: 401 is what it must get; others must not notice.",
        (Share("dead token", 3, 0.1), Share("daily sync", 1, 2.0)),
        app=0.05,
    ),
)
BY_NAME = {shape.name: shape for shape in SHAPES}


def table() -> str:
    """The shapes as a Markdown table: what docs/load-testing.md has."""
    lines = [
        "| `--shape` | What it is | Who does what | Users over the time | Members | Pauses: person, app |",
        "|---|---|---|---|---|---|",
    ]
    for shape in SHAPES:
        shares = "; ".join(
            f"{share.weight} of {sum(one.weight for one in shape.shares)}: {share.journey}"
            + (f", every {share.between:g} s" if share.between else "")
            for share in shape.shares
        )
        curve = ", ".join(f"{part:.0%}" for _, part in shape.curve)
        members = "only heavy" if shape.heavy else (f"Zipf, exponent {shape.skew:g}" if shape.skew else "all alike")
        together = f"; all together every {shape.together:g} s" if shape.together else ""
        lines.append(
            f"| `{shape.name}` | {shape.story} | {shares}{together} | {curve} | {members} | {shape.person:g} s, {shape.app:g} s |"
        )
    return "\n".join(lines)
