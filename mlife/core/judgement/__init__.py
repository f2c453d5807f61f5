"""
What a model is worth: rows, verdicts on badcases, the gate, closing and coming back.

Pure functions over plain values, so that a verdict can be made again from the log. Numbers that a team may
want to change are in `Policy`; every judgement names the digest of the policy that it used.

Source: the contract's section Judgements; the paper's BAM and MSM sections.
"""

from mlife.core.judgement.afterwards import (
    Claim,
    Closing,
    Counts,
    Return,
    ReturnFinding,
    Standing,
    claim_of,
    closing,
    judge_return,
    shipped_share,
)
from mlife.core.judgement.gate import (
    BadcaseFinding,
    GateVerdict,
    SetFinding,
    TestedModel,
    binding,
    gate,
)
from mlife.core.judgement.policy import Policy
from mlife.core.judgement.verdicts import (
    Comparison,
    Evidence,
    RowState,
    Verdict,
    Word,
    breakage,
    compare,
    judge,
    missing_siblings,
    row_state,
    siblings,
)

__all__ = [
    "BadcaseFinding",
    "Claim",
    "Closing",
    "Comparison",
    "Counts",
    "Evidence",
    "GateVerdict",
    "Policy",
    "Return",
    "ReturnFinding",
    "RowState",
    "SetFinding",
    "Standing",
    "TestedModel",
    "Verdict",
    "Word",
    "binding",
    "breakage",
    "claim_of",
    "closing",
    "compare",
    "gate",
    "judge",
    "judge_return",
    "missing_siblings",
    "row_state",
    "shipped_share",
    "siblings",
]
