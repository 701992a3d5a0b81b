"""Records arrive: files -> records -> drafts -> references and members -> written; one outcome each.

    load.py         the pipeline, one transaction per batch          report.py       what became of every record
    sources.py      files, lines and Bundles become records          bundles.py      the entries of a Bundle
    records.py      a record is checked; a draft becomes bytes       references.py   urn:uuid, conditional and logical
    batch.py        what a transaction does, and settles             resolution.py   drafts get references and members
    membership.py   which member a record belongs to                 enrolment.py    reporting units and persons

https://hl7.org/fhir/R4/http.html#transaction and https://hl7.org/fhir/uv/bulkdata/ (NDJSON)
"""
