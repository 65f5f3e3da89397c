"""How long a taken message stays hidden from others unless its worker says that it is still at it.

Short, so that a killed worker's message is soon somebody else's; whoever works longer extends it.
"""

VISIBILITY = 30.0
"""Seconds; a worker extends three times within it."""
