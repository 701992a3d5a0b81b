"""/account/history (42 CFR 422.119(g)): who got information of a member, when, of what kinds, how many records, allowed by whom."""

import csv
import html
import io
import re
from datetime import UTC, datetime

import orjson
from httpx2 import Response

from server import clock
from server.pages.access_history import PAGE, kinds_of
from server.storage.database import Database
from tests.authorization.smart_app import SmartApp, events
from tests.storage.ledgers import chain, write

NOW = datetime(2026, 11, 10, 17, tzinfo=UTC)
HOUR = 3_600_000_000


def words(page: Response) -> str:
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]*>", " ", page.text)))


def history(app: SmartApp, query: str = "", username: str = "ada") -> Response:
    if app.web.get("/account").status_code != 200:
        app.sign_in("/sign-in", username)
    return app.web.get(f"/account/history{query}")


def at(day: int, hour: int, minute: int = 0, month: int = 11) -> int:
    return clock.to_microseconds(datetime(2026, month, day, hour, minute, tzinfo=UTC))


def name_of(app: SmartApp, person: str) -> str:
    """How the account page's link to a member's history names the member."""
    page = app.web.get("/account").text
    part = next(part for part in page.split("<section")[1:] if person in part)
    found = re.search(r"history\?member=([0-9a-f]+)", part)
    assert found is not None
    return found[1]


def test_it_asks_to_sign_in(app: SmartApp) -> None:
    for path in ("/account/history", "/account/history/download"):
        assert app.web.get(path).headers["location"] == "/sign-in"


def test_a_real_answer_is_in_it_with_app_kinds_records_and_who_allowed_it(app: SmartApp, database: Database) -> None:
    with clock.set_to(NOW):
        token = app.connect(scope="patient/Patient.rs")
        assert "Nobody got information yet." in words(history(app))
        assert app.read(token["access_token"], "Patient/p1") == 200
        assert app.read(token["access_token"], "Patient") == 200
        assert app.read(token["access_token"], "Coverage") == 403
        text = words(history(app))
    assert "November 10, 2026 Health Notes What kinds Who you are Records sent 2 Requests 2" in text
    assert "Allowed by you" in text


def test_a_day_is_that_of_the_payers_clock_and_an_app_has_one_line_of_it(app: SmartApp, database: Database) -> None:
    moments = [at(2, 3), at(2, 4, 59), at(2, 5), at(2, 23)]  # New York is 5 hours behind: the first two are November 1
    write(database, chain(moments, patient="p1", client_id=app.client_id, grant_id="gone", resource_type="Coverage"))
    with clock.set_to(NOW):
        text = words(history(app))
    assert "November 2, 2026 Health Notes What kinds Your coverage Records sent 2 Requests 2" in text
    assert "November 1, 2026 Health Notes What kinds Your coverage Records sent 2 Requests 2" in text
    assert text.index("November 2, 2026") < text.index("November 1, 2026 Health Notes")
    assert "Allowed by the member, or who acts for them" in text


def test_what_gave_no_record_is_not_in_it(app: SmartApp, database: Database) -> None:
    for columns in ({"resources": 0}, {"status": 403}, {"status": 304}, {"kind": "x"}):
        kind = columns.pop("kind", "answer")
        rows = chain([at(2, 12)], patient="p1", client_id=app.client_id, **columns)
        if kind == "x":
            rows[0]["kind"] = "refusal"
        write(database, rows)
    assert "Nobody got information yet." in words(history(app))


def test_nobody_sees_the_history_of_others(app: SmartApp, database: Database) -> None:
    write(database, chain([at(2, 12)], patient="p1", client_id=app.client_id, resource_type="Coverage"))
    write(database, chain([at(3, 12)], patient="p2", client_id=app.client_id, resource_type="Condition"))
    app.sign_in("/sign-in", "ada")
    adas = name_of(app, "Ada")
    assert "Your coverage" in words(history(app, f"?member={adas}"))
    assert "Your health problems" not in words(history(app))
    app.web.cookies.clear()
    app.sign_in("/sign-in", "grace")
    for query in (f"?member={adas}", "?member=p1", "?member=%C3%A9", "/download?member=p1", f"/download?member={adas}"):
        reply = app.web.get(f"/account/history{query}")
        assert reply.status_code == 404, query
        assert "coverage" not in reply.text
    assert "Your health problems" in words(app.web.get("/account/history"))


def test_a_representative_sees_it_for_each_member_they_act_for(app: SmartApp, database: Database) -> None:
    with clock.set_to(NOW):
        token = app.connect("grace", "p3", scope="patient/Patient.rs")
        assert app.read(token["access_token"], "Patient/p3") == 200
        kid = name_of(app, "Kid Hopper")
        text = words(history(app, f"?member={kid}"))
        assert "Kid Hopper you act as their parent" in text
        assert "Allowed by you (acting for the member)" in text
        assert "Nobody got information yet." in words(app.web.get("/account/history"))
        assert "The same for: Kid Hopper" in words(app.web.get("/account/history"))


def test_a_program_of_the_payer_itself_is_in_it(app: SmartApp, database: Database) -> None:
    rows = chain([at(2, 12)], patient="p1", client_id="the-job", client_kind="system", actor="system", grant_id="job")
    write(database, rows)
    assert "the-job What kinds All that the app may see Records sent 1" in words(history(app))
    assert "Allowed by nobody: a program of the health plan itself" in words(history(app))


def test_pages_follow_each_other_day_by_day_to_the_end(app: SmartApp, database: Database) -> None:
    days = PAGE * 2 + 5
    start = at(1, 12, month=8)
    moments = [start + number * 24 * HOUR + part for number in range(days) for part in (0, HOUR)]
    write(database, chain(moments, patient="p1", client_id=app.client_id, resource_type="Coverage"))
    found: list[str] = []
    query, pages = "", 0
    while query is not None and pages < 10:
        page = history(app, query)
        found += re.findall(r'id="day-([0-9-]+)"', page.text)
        following = re.search(r'rel="next" href="/account/history([^"]*)"', page.text)
        query, pages = (html.unescape(following[1]) if following else None), pages + 1  # type: ignore[assignment]
    assert pages == 3
    assert len(found) == len(set(found)) == days
    assert found == sorted(found, reverse=True)


def test_the_download_is_the_whole_history_as_csv_and_json(app: SmartApp, database: Database) -> None:
    moments = [at(1 + number % 28, 12) for number in range(60)]
    write(database, chain(sorted(moments), patient="p1", client_id=app.client_id, resource_type="Coverage"))
    write(database, chain([at(9, 13)], patient="p1", client_id="=cmd|'x'", resource_type="Condition"))
    app.sign_in("/sign-in", "ada")
    reply = app.web.get("/account/history/download?form=csv")
    assert "attachment" in reply.headers["content-disposition"]
    rows = list(csv.DictReader(io.StringIO(reply.content.decode("utf-8-sig"))))
    assert len(rows) == 29
    assert sum(int(row["Records sent"]) for row in rows) == 61
    assert [row["App"] for row in rows if row["What kinds"] == "Your health problems"] == ["'=cmd|'x'"]
    document = orjson.loads(app.web.get("/account/history/download?form=json").content)
    assert document["member"] == "Ada Lovelace"
    assert sum(line["records"] for line in document["history"]) == 61
    assert document["history"][0]["day"] == "2026-11-28"


def test_no_patient_id_is_in_an_address(app: SmartApp, database: Database) -> None:
    write(database, chain([at(2, 12)], patient="p1", client_id=app.client_id))
    app.sign_in("/sign-in", "ada")
    links = re.findall(r'href="([^"]*)"', app.web.get("/account").text + app.web.get("/account/history").text)
    assert [link for link in links if "member=" in link]
    assert [link for link in links if "p1" in link] == []


def test_kinds_are_those_the_permission_lets_the_app_see() -> None:
    claims = "patient/ExplanationOfBenefit.rs?use=claim"
    assert kinds_of("search-type", "ExplanationOfBenefit", claims) == {"Your claims"}
    whole = {"Your claims", "Your prior authorizations"}
    assert kinds_of("search-type", "ExplanationOfBenefit", "patient/*.rs") == whole
    assert kinds_of("$everything", "Patient", "patient/Coverage.rs") == {"Your coverage"}
    assert kinds_of("export-file", "", "patient/Coverage.rs") == {"Your coverage"}
    assert kinds_of("read", "Coverage", "") == {"Your coverage"}
    assert kinds_of("search-type", "AuditEvent", "") == {"Who got your information"}


def test_it_is_there_in_spanish(app: SmartApp, database: Database) -> None:
    write(database, chain([at(2, 12)], patient="p1", client_id=app.client_id, resource_type="Coverage"))
    app.web.headers["Accept-Language"] = "es"
    text = words(history(app))
    assert "Quién recibió información y cuándo" in text
    assert "Su cobertura" in text
    header = app.web.get("/account/history/download").content.decode("utf-8-sig").splitlines()[0]
    assert header.startswith("Día,Aplicación,")


def test_the_ledger_says_nothing_of_looking_at_it(app: SmartApp, database: Database) -> None:
    write(database, chain([at(2, 12)], patient="p1", client_id=app.client_id, resource_type="Coverage"))
    before = len(events(database))
    history(app)
    assert len(events(database)) == before
