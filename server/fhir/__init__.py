"""The Patient Access API: FHIR R4 over HTTP, computed from the registry.

https://hl7.org/fhir/R4/http.html - bytes in, bytes out: what is expensive happens at ingest, a read splices stored bytes.
"""
