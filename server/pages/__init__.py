"""Floor 6, pages: what members and developers look at. No build step and no JavaScript.

https://www.w3.org/TR/WCAG22/
"""
