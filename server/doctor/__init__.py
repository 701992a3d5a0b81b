"""The doctor: looks at this machine's configuration, or from outside at a running Patient Access API, ours or anybody's, and says how to mend it.

https://hl7.org/fhir/smart-app-launch/STU2.2/conformance.html - ``checks.py`` holds THE ROWS: each check is one row with its name, its area and
the page that asks for it. A check reads, and never registers, signs in or writes. docs/doctor.md lists the rows.
"""
