"""`repro claims` says whether the paper's claims hold."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from click.testing import CliRunner

from repro.cli import cli
from repro.errors import LedgerError

EXPECTED = Path(__file__).parents[2] / "expected"
COMMAND = ["claims", "--published", "--expected", str(EXPECTED)]


def test_the_published_numbers_are_shown_with_verdict_and_interval() -> None:
    result = CliRunner().invoke(cli, COMMAND, env={"COLUMNS": "88"})
    assert result.exit_code == 0
    assert "holds     slope-captions\n" in result.output
    assert "0.210 [0.210, 0.210] (rounding" in result.output
    last = result.output.splitlines()[-1]
    assert last == "24 claims: 8 hold, 1 fails, 1 undecided, 14 missing"
    assert max(map(len, result.output.splitlines())) <= 88


def test_claims_of_which_nothing_is_known_come_last() -> None:
    said = CliRunner().invoke(cli, COMMAND, env={"COLUMNS": "88"}).output.splitlines()
    verdicts = [line.split()[0] for line in said[:-1] if not line.startswith(" ")]
    known = len([verdict for verdict in verdicts if verdict != "missing"])
    assert 0 < known < len(verdicts)
    assert set(verdicts[known:]) == {"missing"}


def test_json_has_the_numbers_that_a_verdict_rests_on() -> None:
    result = CliRunner().invoke(cli, [*COMMAND, "--json"])
    claims = {claim["id"]: claim for claim in json.loads(result.output)}
    claim = claims["prompts-at-16M"]
    assert claim["verdict"] == "holds"
    assert claim["source_url"].startswith("https://github.com/visinf/")
    first, second = claim["findings"]
    assert round(first["value"], 3) == 5.626  # 60.400 - 54.774
    assert second["interval"][0] < second["value"] < second["interval"][1]
    assert len(claims["slope-captions"]["curves"][0]["fit"]["points"]) == 2


def test_a_release_without_claims_says_so(tmp_path: Path) -> None:
    release = EXPECTED / "synthetic-scaling" / "release.toml"
    text = release.read_text().replace('"classes/', f'"{release.parent}/classes/')
    (tmp_path / "release.toml").write_text(text)
    command = ["claims", "--published", "--expected", str(tmp_path)]
    result = CliRunner().invoke(cli, command)
    assert result.output == "no [[claim]] in the published numbers\n"


def test_checking_published_claims_needs_no_torch() -> None:
    code = (
        "import sys; from repro.cli import cli\n"
        f"cli({COMMAND!r}, standalone_mode=False)\n"
        "assert not {'torch', 'scipy.stats'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_without_a_ledger_it_says_how_to_do_without(tmp_path: Path) -> None:
    command = [*COMMAND[:1], *COMMAND[2:], "--ledger", str(tmp_path)]
    result = CliRunner().invoke(cli, command)
    assert isinstance(result.exception, LedgerError)
    assert f"no ledger in {tmp_path}" in str(result.exception)
