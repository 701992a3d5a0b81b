"""What the oracle has checked, per guide, at the end of a run.

https://docs.pytest.org/en/stable/reference/reference.html#pytest.hookspec.pytest_terminal_summary
"""

from collections import Counter
from typing import Any


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print the count of searches and of requests by guide."""
    passed: Counter[str] = Counter()
    requests: Counter[str] = Counter()
    for report in terminalreporter.stats.get("passed", []):
        properties = dict(report.user_properties)
        if report.when == "call" and "guide" in properties:
            passed[properties["guide"]] += 1
            requests[properties["guide"]] += properties["requests"]
    if passed:
        terminalreporter.section("searches that find what brute force finds, no more and no less")
        for guide in passed:
            terminalreporter.line(f"{guide}: {passed[guide]} pass ({requests[guide]} requests)")
