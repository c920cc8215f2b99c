"""For teams who extend: Hypothesis strategies, and a ready contract suite for a policy or a guard.

Needs the extra ``cadence[testing]``. Nothing else in cadence imports this room.
"""
