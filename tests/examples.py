"""How many examples the property tests try, which the profile of hypothesis may lower."""

from hypothesis import settings

USUAL = 100
"""What hypothesis tries where neither a test nor a profile says how many."""


def examples(count):
    """Return how many a test tries that is to try so many in the usual profile."""
    return max(1, count * settings.default.max_examples // USUAL)
