"""Prove what a policy does on every history: proof, counterexample, bounds, difference."""

from cadence.prover.proof import Proof, RuleProof, prove
from cadence.prover.trusted import load, loads

__all__ = [
    "Proof",
    "RuleProof",
    "load",
    "loads",
    "prove",
]
