"""Floor 3, authorization: SMART App Launch, OAuth 2.0 and OpenID Connect, with the sign-in and consent pages.

https://hl7.org/fhir/smart-app-launch/STU2.2/app-launch.html - Authlib and joserfc do the protocol; what is here is policy.
"""
