"""Load tests: members' apps doing the whole SMART dance, and what the hot path costs beside a bare ASGI application.

https://hl7.org/fhir/smart-app-launch/STU2.2/app-launch.html - nothing here imports the server: the command line and HTTP only.
"""
