"""Check claims with what earlier runs measured."""

from __future__ import annotations

from repro.cases import Case, list_cases
from repro.claims.evidence import Measured, MeasuredEvidence, MissingError, Stated
from repro.claims.judge import judge
from repro.claims.result import ClaimResult
from repro.records.ledger import Ledger


def judge_from_ledger(stated: Stated, ledger: Ledger) -> ClaimResult:
    """Check a claim with the newest whole measurement of each case in the ledger.

    Raises:
        LedgerError: the ledger cannot be read.
    """
    release, claim = stated.release, stated.claim
    recorded = ledger.cases()
    referenced = list_cases([release])

    def case(family: str, checkpoint: str) -> Case:
        return Case(
            release=release,
            family=release.families[family],
            checkpoint=checkpoint,
            protocol=release.protocols[claim.protocol],
            dataset=release.datasets[claim.dataset],
        )

    def known(family: str) -> list[str]:
        names = [found.checkpoint for found in referenced if found.family.id == family]
        before, after = case(family, "*").id.split("*")
        names += (
            name.removeprefix(before).removesuffix(after)
            for name in recorded
            if name.startswith(before) and name.endswith(after)
        )
        return [name for name in dict.fromkeys(names) if "/" not in name]

    def measure(family: str, checkpoint: str) -> Measured:
        name = case(family, checkpoint).id
        for run, result in reversed(ledger.history(name)):
            found = result.measurement
            if result.release == release.id and found and found.is_complete:
                return Measured(
                    metrics=found.metrics,
                    total=found.total,
                    in_other_precision=found.in_other_precision(
                        release.protocols[claim.protocol].precision
                    ),
                    predictions=ledger.predictions(run.id, name),
                )
        raise MissingError("no run in the ledger measured all its images")

    return judge(release, claim, MeasuredEvidence(claim, known, measure))
