"""Which profile the tests run under: what takes long is done in full by ``make nightly`` alone."""

from hypothesis import settings

NIGHTLY = settings.get_current_profile_name() == "nightly"
