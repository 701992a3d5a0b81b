"""What the sandbox leaves in var/.

https://hl7.org/fhir/uv/bulkdata/ (var/seed is a folder of NDJSON)
"""

from server import sandbox


def test_the_seed_folder_holds_nothing_but_records() -> None:
    assert sandbox.SEED not in sandbox.FINGERPRINT.parents
