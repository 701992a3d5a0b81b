"""The usage report in the forms that agencies take, and as a page to print. Every form is written from the same report.

What is published of each form, and where: docs/report-forms.md
"""
