"""Checks with a member's token of how answers come: pages that end, 304 for what has not changed, compression, caches.

https://hl7.org/fhir/R4/http.html#paging, https://www.rfc-editor.org/rfc/rfc9110#section-13 and https://www.rfc-editor.org/rfc/rfc9111
"""

from server.doctor.findings import Finding, failed, passed, skipped, warned
from server.doctor.member_checks import CLAIM, MEMBER
from server.doctor.site import FHIR_JSON, Site, link, matches
from server.doctor.web import origin

MOST_PAGES = 25
FEWEST_BYTES = 2000
"""Of a body that is worth compressing."""


def paging(site: Site) -> Finding:
    """Pages end, bring nothing twice and keep their total."""
    total = len(matches(site.claims()))
    count = max(1, min(total // 3, 10))
    answer = site.search(CLAIM, {"patient": site.member(), "_count": str(count)})
    seen: set[str] = set()
    addresses, pages = {answer.url}, 0
    told = (answer.json or {}).get("total")
    while True:
        if answer.status != 200:
            return failed(f"page {pages + 1} gave {answer.told}", "a page that was linked must be there")
        ids = [str(one.get("id")) for one in matches(answer)]
        pages += 1
        if len(ids) > count:
            return failed(f"{len(ids)} on a page of {count}", "honour _count")
        if set(ids) & seen or len(set(ids)) < len(ids):
            return failed(f"page {pages} brings claims again", "page by a key, not by an offset")
        seen.update(ids)
        if (answer.json or {}).get("total") != told:
            return failed(f"the total changes on page {pages}", "count once, and carry it along")
        following = link(answer, "next")
        if not following:
            break
        if following in addresses:
            return failed(f"the next link of page {pages} leads back", "leave next out on the last page")
        if origin(following) != origin(site.base):
            return failed(
                "a next link leads to another origin", "apps do not send the token there: link below the base"
            )
        if pages == MOST_PAGES:
            return passed(f"{pages} pages of {count}, and more")
        addresses.add(following)
        answer = site.get(following, with_token=True, accept=FHIR_JSON)
    if isinstance(told, int) and told != len(seen):
        return failed(f"{len(seen)} claims on {pages} pages, but a total of {told}", "the total is that of all pages")
    if pages == 1 and total <= 1:
        return skipped("too few claims to have pages")
    return passed(f"{len(seen)} claims on {pages} pages")


def conditional(site: Site) -> Finding:
    """What has not changed is not sent again."""
    path = f"{MEMBER}/{site.member()}"
    etag = site.get(path, with_token=True, accept=FHIR_JSON).header("etag")
    if not etag:
        return warned("no ETag", "FHIR asks for it: apps need not fetch what they have")
    again = site.get(path, with_token=True, accept=FHIR_JSON, If_None_Match=etag)
    if again.status != 304 or again.body:
        return warned(f"If-None-Match gave {again.told}", "answer 304")
    return passed("304 for what has not changed")


def compression(site: Site) -> Finding:
    """Pages are compressed."""
    url = site.claims().url
    answer = site.get(url, with_token=True, accept=FHIR_JSON, Accept_Encoding="gzip")
    if len(answer.body) < FEWEST_BYTES:
        return skipped("the page is too small for it")
    if answer.header("content-encoding") != "gzip":
        return warned("a page is not compressed with gzip", "a sync becomes several times smaller; a proxy can do it")
    if answer.json is None:
        return failed("a compressed page is broken", "see which layer compresses")
    return passed("gzip")


def caching(site: Site) -> Finding:
    """No cache on the way keeps a member's records."""
    told = site.claims().header("cache-control").lower()
    if not any(word in told for word in ("no-store", "private", "no-cache")):
        return warned(f"Cache-Control: {told[:60] or 'none'}", "send no-store or private with members' records")
    return passed(f"Cache-Control: {told}")
