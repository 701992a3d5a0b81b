"""Floor 6, pages: what members and developers look at. No build step; only the sample app at /try has scripts.

https://www.w3.org/TR/WCAG22/ - ``base.html`` is what they share; it extends the layout of the sign-in pages.
"""

from pathlib import Path

TEMPLATES = Path(__file__).parent / "templates"
