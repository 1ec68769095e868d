"""How long tools and tests wait for what does not come.

Nothing is judged by time: a wait ends only so that what hangs is noticed. So every limit is stated as seconds on an
idle machine, generously, and multiplied here; tests/limits.cmake reads the factor for ctest's own limits.
"""

TIMES_SLOWER = 5


def seconds(idle):
    """The limit for what takes at most `idle` seconds on an idle machine of two cores."""
    return idle * TIMES_SLOWER
