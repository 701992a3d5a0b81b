"""Records arrive: files -> records -> validated, referenced, given to a member -> written, one outcome each.

    sources.py     files, lines and Bundle entries become records        bundles.py     the entries of a Bundle
    records.py     a record is checked and completed                     references.py  urn:uuid and conditional references
    membership.py  which member it belongs to                            enrolment.py   reporting units and persons
    load.py        the pipeline, one transaction per batch               report.py      what became of every record

https://hl7.org/fhir/R4/http.html#transaction and https://hl7.org/fhir/uv/bulkdata/ (NDJSON)
"""
