"""The forms of an HTML page: where they go, the fields as they stand, what can be chosen and pressed.

https://html.spec.whatwg.org/multipage/form-control-infrastructure.html#constructing-entry-list
"""

from dataclasses import dataclass, field
from html.parser import HTMLParser


@dataclass(frozen=True, slots=True)
class Button:
    """A button that sends its form: its name and value ('' without), and the words on it."""

    name: str
    value: str
    words: str


@dataclass(slots=True)
class Form:
    """A form of a page: where it goes and how, its fields as they stand, the values of its radio buttons, the names of its password
    fields, its buttons."""

    action: str
    method: str = "GET"
    fields: dict[str, str] = field(default_factory=dict)
    choices: dict[str, list[str]] = field(default_factory=dict)
    passwords: set[str] = field(default_factory=set)
    buttons: list[Button] = field(default_factory=list)

    @property
    def names(self) -> set[str]:
        """The names of everything that can be filled in or chosen, hidden fields too."""
        return set(self.fields) | set(self.choices)


class _FormParser(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self._form: Form | None = None
        self._pressed: tuple[str, str] | None = None
        self._words = ""
        self._select = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        name = given.get("name", "")
        if tag == "form":
            self._form = Form(given.get("action", ""), given.get("method", "get").upper())
            self.forms.append(self._form)
        elif self._form is None:
            return
        elif tag == "input":
            self._input(self._form, name, given)
        elif tag == "button" and given.get("type", "submit") == "submit":
            self._pressed, self._words = (name, given.get("value", "")), ""
        elif tag == "select":
            self._select = name
        elif tag == "option" and self._select:
            self._option(self._form, given)

    def _input(self, form: Form, name: str, given: dict[str, str]) -> None:
        kind, value = given.get("type", "text").lower(), given.get("value", "")
        if kind in ("submit", "image"):
            form.buttons.append(Button(name, value, value))
        elif not name or kind in ("button", "reset", "file") or "disabled" in given:
            return
        elif kind == "radio":
            form.choices.setdefault(name, []).append(value)
            if "checked" in given:
                form.fields[name] = value
        elif kind == "checkbox":
            if "checked" in given:
                form.fields[name] = given.get("value", "on")
        else:
            form.fields[name] = value
            if kind == "password":
                form.passwords.add(name)

    def _option(self, form: Form, given: dict[str, str]) -> None:
        """The first option of a list is the chosen one, unless a later one says it is."""
        values = form.choices.setdefault(self._select, [])
        values.append(given.get("value", ""))
        if len(values) == 1 or "selected" in given:
            form.fields[self._select] = values[-1]

    def handle_data(self, data: str) -> None:
        self._words += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "button" and self._form is not None and self._pressed is not None:
            self._form.buttons.append(Button(*self._pressed, " ".join(self._words.split())))
            self._pressed = None
        elif tag == "select":
            self._select = ""
        elif tag == "form":
            self._form = None


def forms(page: str) -> list[Form]:
    """The forms of an HTML page, in order."""
    parser = _FormParser()
    parser.feed(page)
    return parser.forms
