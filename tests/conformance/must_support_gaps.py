"""Must-support elements that no persona carries, and why; a row that explains nothing any more fails a test.

https://hl7.org/fhir/us/core/STU6.1/must-support.html
"""

from dataclasses import dataclass

SINGLE_VALUES = (
    "us-core-bmi",
    "us-core-body-height",
    "us-core-body-temperature",
    "us-core-body-weight",
    "us-core-head-circumference",
    "head-occipital-frontal-circumference-percentile",
    "us-core-heart-rate",
    "pediatric-bmi-for-age",
    "pediatric-weight-for-height",
    "us-core-respiratory-rate",
)
BOTH = ("us-core 6.1.0", "us-core 7.0.0")


@dataclass(frozen=True, slots=True)
class Gap:
    """Elements of profiles (ids, without the guide's base) that nobody carries, by guide version."""

    guides: tuple[str, ...]
    profiles: tuple[str, ...]
    elements: tuple[str, ...]
    reason: str


GAPS = (
    Gap(
        BOTH,
        SINGLE_VALUES,
        ("component", "component.code", "component.value[x]", "component.dataAbsentReason"),
        "one measurement, one value: of the vital signs only blood pressure and pulse oximetry have components, and theirs are "
        "carried; the snapshot inherits these from the vital signs profile, and the conformance kits do not ask for them",
    ),
    Gap(
        BOTH,
        ("us-core-bmi",),
        ("dataAbsentReason",),
        "FHIR 4.0.1's own bmi profile, which the code implies, demands a value: a body mass index without one is not valid",
    ),
    Gap(
        BOTH,
        ("us-core-blood-pressure",),
        ("value[x]",),
        "a panel: its values are in its components, and a value of its own would contradict the guide's description",
    ),
    Gap(
        ("us-core 7.0.0", "us-core 6.1.0"),
        ("us-core-diagnosticreport-note",),
        ("media", "media.link"),
        "media.link must refer to a Media resource, and this server has no row for Media; the images' reports are attachments",
    ),
    Gap(
        ("pdex 2.0.0",),
        ("pdex-provenance",),
        ("agent:ProvenanceTransmitter.who -> us-core-practitioner",),
        "who transmits is the payer, an organization; no practitioner sends records to members' apps",
    ),
    Gap(
        ("pdex 2.0.0",),
        ("pdex-priorauthorization",),
        ("adjudication:denialreason",),
        "the guide gives this slice no code by which it could be told from the others; the reasons stand in item.adjudication",
    ),
)


def explained(guide: str, profile: str) -> dict[str, str]:
    """Element to reason, for one profile of a guide."""
    return {
        element: gap.reason
        for gap in GAPS
        if guide in gap.guides and profile in gap.profiles
        for element in gap.elements
    }
