"""The search parameters in words, computed from the rows: types, modifiers, targets, and an example of each.

https://hl7.org/fhir/R4/search.html
"""

from dataclasses import dataclass

from server.fhir.search_values import MODIFIERS
from server.specification.definition import DATE_COMPARATORS, ResourceDefinition, SearchParameter, SearchType

WORDS = {
    SearchType.TOKEN: "a code, system|code, system| or |code",
    SearchType.REFERENCE: "an id, Type/id, or an absolute URL of this server",
    SearchType.DATE: "a date or a time, with a prefix if you like: " + ", ".join(DATE_COMPARATORS),
    SearchType.STRING: "the beginning of a word; case and accents do not matter",
}
EXAMPLES = {
    SearchType.TOKEN: "SYSTEM|CODE",
    SearchType.DATE: "ge2026-01-01",
    SearchType.STRING: "riv",
}
RULES = (
    ("_count", "How many matches a page has. 0 asks for the total only."),
    ("_include", "Also answer with what the matches refer to: Type:parameter, Type:parameter:TargetType, or Type:* for all of it. Add"
     " :iterate to follow what is brought too, five steps at most."),
    ("_revinclude", "Also answer with what refers to the matches, such as Provenance:target. Add :iterate for what refers to what is"
     " brought too. Neither goes with _summary=text."),
    ("_sort", "The order: parameters of the type, separated by commas, the first counts most; with - before it the greatest first."
     " What has no value comes last."),
    ("_total", "none leaves the total out; estimate and accurate both count exactly."),
    ("_summary", "true: the elements that FHIR marks as summary; text, data, count or false."),
    ("_elements", "Only these elements, and those that every resource of the type has. Type.element for included resources."),
    ("_pretty", "true: with line breaks, to be read by people."),
    ("_format", "json, or a JSON media type. There is no other format."),
)  # fmt: skip
"""Parameters that every search takes beside those of its type."""


@dataclass(frozen=True, slots=True)
class ParameterInWords:
    """One search parameter as the documentation shows it."""

    parameter: SearchParameter
    value: str
    example: str

    @property
    def targets(self) -> str:
        """The types it may refer to; '' for another type of parameter."""
        return ", ".join(self.parameter.targets)


def parameters(row: ResourceDefinition) -> tuple[ParameterInWords, ...]:
    """The parameters of a resource type, in the order of its row."""
    return tuple(_in_words(row, parameter) for parameter in row.search_parameters)


def _in_words(row: ResourceDefinition, parameter: SearchParameter) -> ParameterInWords:
    value = WORDS[parameter.type]
    if parameter.code == "_id":
        value, example = "an id, or several with commas between", "123"
    elif parameter.targets:
        example = f"{parameter.targets[0]}/123"
    else:
        example = EXAMPLES[parameter.type]
    return ParameterInWords(parameter, value, f"{row.type}?{parameter.code}={example}")


def modifiers() -> tuple[tuple[str, str, str], ...]:
    """(parameter type, what its values look like, its modifiers) of every search parameter type."""
    return tuple(
        (str(type), WORDS[type], ", ".join(f":{modifier}" for modifier in MODIFIERS[type])) for type in MODIFIERS
    )
