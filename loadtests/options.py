"""The options of a load test, as locust's file and ``python -m loadtests.run`` share them, read and checked.

https://docs.locust.io/en/stable/extending-locust.html#custom-arguments
"""

import argparse
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from loadtests.population import Manifest, ManifestError, heavy, read_manifest
from loadtests.shapes import BY_NAME, Shape
from loadtests.sign_in import AdapterError, SignIn, adapter
from loadtests.thresholds import DEFAULT, Thresholds, ThresholdsError, read_baseline, read_thresholds

MANIFEST = "var/sandbox.json"
OUTPUT = "var/loadtest"


class OptionsError(ValueError):
    """An option that cannot be used; the message says which and why."""


@dataclass(frozen=True, slots=True)
class Options:
    """What was asked for."""

    shape: Shape
    manifest: Manifest
    logins: tuple[Mapping[str, Any], ...]
    adapter: SignIn
    minutes: float
    pace: float
    output: Path
    thresholds: Thresholds
    baseline: Mapping[str, Any] | None
    baseline_file: Path | None
    saves_baseline: bool
    insecure: bool
    notes: tuple[str, ...]


def add_options(parser: "argparse.ArgumentParser | argparse._ArgumentGroup") -> None:
    """What can be chosen."""
    parser.add_argument(
        "--target", metavar="URL", default="", help="the FHIR base, or the address above it; default: the manifest's"
    )
    parser.add_argument(
        "--shape", metavar="NAME", default="steady-day", help=f"{', '.join(BY_NAME)} (default steady-day)"
    )
    parser.add_argument(
        "--minutes", type=float, default=1.0, metavar="M", help="how long (default 1; parts are allowed)"
    )
    parser.add_argument(
        "--manifest",
        default=MANIFEST,
        metavar="FILE",
        help=f"the app and the people, JSON (default {MANIFEST}, of make run)",
    )
    parser.add_argument(
        "--sign-in",
        default="own",
        metavar="NAME",
        help="own, forms or package.module:Class (default own: this server's pages)",
    )
    parser.add_argument(
        "--pace",
        type=float,
        default=1.0,
        metavar="X",
        help="every pause times this: 0.5 is twice as hurried (default 1)",
    )
    parser.add_argument(
        "--output", default=OUTPUT, metavar="DIR", help=f"where the report is written (default {OUTPUT})"
    )
    parser.add_argument("--thresholds", default="", metavar="FILE", help="TOML (default: loadtests/thresholds.toml)")
    parser.add_argument("--baseline", default="", metavar="FILE", help="stored figures to compare with, by shape, JSON")
    parser.add_argument(
        "--save-baseline", action="store_true", help="store this run in the --baseline file, if it passes"
    )
    parser.add_argument("--insecure", action="store_true", help="do not verify the server's TLS certificate")


def read_options(given: argparse.Namespace) -> Options:
    """What the options mean. Raises OptionsError."""
    if given.shape not in BY_NAME:
        raise OptionsError(f"--shape {given.shape}: there are {', '.join(BY_NAME)}")
    if not 0 < given.minutes <= 7 * 24 * 60 or not 0 <= given.pace <= 1000:
        raise OptionsError("--minutes is more than 0 and at most a week, and --pace between 0 and 1000")
    if given.save_baseline and not given.baseline:
        raise OptionsError("--save-baseline stores in the file that --baseline names")
    shape = BY_NAME[given.shape]
    baseline = Path(given.baseline) if given.baseline else None
    try:
        manifest = read_manifest(Path(given.manifest))
        sign_in = adapter(given.sign_in)
        thresholds = read_thresholds(Path(given.thresholds) if given.thresholds else DEFAULT)
        stored = read_baseline(baseline, shape.name) if baseline is not None and not given.save_baseline else None
    except (ManifestError, AdapterError, ThresholdsError) as error:
        raise OptionsError(str(error)) from error
    if given.target:
        manifest = replace(manifest, fhir_base=given.target.rstrip("/"))
    if not manifest.fhir_base.startswith(("http://", "https://")):
        raise OptionsError(
            f"--target is an http or https address, not {manifest.fhir_base!r}"
            if manifest.fhir_base
            else "--target, or fhir_base in the manifest, says which server is meant"
        )
    logins, notes = _logins(shape, manifest)
    return Options(
        shape,
        manifest,
        logins,
        sign_in,
        given.minutes,
        given.pace,
        Path(given.output),
        thresholds,
        stored,
        baseline,
        given.save_baseline,
        given.insecure,
        notes,
    )


def _logins(shape: Shape, manifest: Manifest) -> tuple[tuple[Mapping[str, Any], ...], tuple[str, ...]]:
    """Who is met in this shape, and what a reader should know of it."""
    if not shape.heavy:
        return manifest.logins, ()
    if found := heavy(manifest.logins):
        return tuple(found), ()
    return manifest.logins[:1], ("No login of the manifest is marked heavy: the first one was taken.",)
