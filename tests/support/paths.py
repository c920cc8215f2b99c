"""Where the tests find what they read."""

from pathlib import Path

TESTS = Path(__file__).resolve().parent.parent
ROOT = TESTS.parent
DOCS = ROOT / "docs"
EXAMPLES = ROOT / "examples"
GOLDEN = TESTS / "golden"
BAD_POLICIES = TESTS / "bad_policies"
BPI = ROOT.parent / "shared" / "data" / "bpic2012.xes.gz"
"""A real log, beside the repository where it may be had; its licence keeps it out."""
