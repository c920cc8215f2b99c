"""A plugin of pytest: the contracts of ``cadence.testing`` draw fewer histories."""

from cadence.testing import GuardContract, PolicyContract

PolicyContract.examples = GuardContract.examples = 20
