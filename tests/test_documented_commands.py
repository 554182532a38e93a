"""Every command that the documents show is run, as it is or by a stand-in for a reason.

Lines of pytest and of `repro` run in one prepared folder: the weights of the embedded
release are `checkpoints` and `weights`, its images `imagenet`; the ledger has two runs.
Its published numbers are a copy, since some lines write beside them.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import click
import pytest
from click.testing import CliRunner

from repro.cli import cli
from repro.options.table import OPTIONS
from repro.published import EMBEDDED
from tests.attestation.keys import write_keys
from tests.cli.world import CARD
from tests.fetching.host import running_host
from tests.fetching.released import Released, weights, zipped
from tests.importing.tables import OPEN_CLIP, TIMM

ROOT = Path(__file__).parents[1]
PAGES = [
    ROOT / "README.md",
    # tests/test_tutorial.py follows the tutorial.
    *(f for f in sorted((ROOT / "docs").glob("*.md")) if f.name != "tutorial.md"),
    ROOT / "expected/synthetic-scaling/README.md",
    ROOT / "expected/gallery/README.md",
    ROOT / "CONTRIBUTING.md",
]
_PROGRAMS = (
    *("repro", "pytest", "python3?", "tox", "ray", "sbatch", "pip", "export"),
    *("curl", "mkdir", "npm", "pre-commit", "unzip", "uvx?"),
)
_COMMAND = rf"(?:(?:{'|'.join(_PROGRAMS)})\b|array=|[A-Z_]+=\S+ ray)"


class StandIn(NamedTuple):
    """What is run in place of a line, and why; a line of the shell is only parsed."""

    line: str
    why: str


PARSED = "bash -n"
NETWORK = "fetches from a server on this machine"
CLUSTER = "needs a cluster; tests/engine runs Ray on two nodes, docs/clusters.md Slurm"
NAMES = "the embedded release has other names and places"
SCHEDULER = "is run by .ci/run or a scheduler, with tox"
TWO_CASES = "two cases tell as much as thirty"
STRANGERS = "fetches from strangers"
SOMEBODYS = "the weights are somebody else's, so cases are only listed"
LIBRARY = "needs a library's weights; tests/cli/test_eval_of_libraries.py has its own"

_WEIGHTS = "checkpoints/supervised/real/80.pt"
_STATEMENT = "supervised_real_80@digits-supervised-*.intoto.json"
STAND_INS = {
    'repro fetch "clip/*" --checkpoints checkpoints': StandIn(
        "repro fetch 'supervised/*' --expected tiny --checkpoints fetched", NETWORK
    ),
    "repro fetch --checkpoints weights": StandIn(
        "repro fetch --expected tiny --checkpoints fetched", NETWORK
    ),
    "repro fetch --checkpoints weights 'clip/*'": StandIn(
        "repro fetch --expected tiny --checkpoints fetched 'supervised/*'", NETWORK
    ),
    'pytest --repro-checkpoints=checkpoints --repro-data=imagenet -k "clip and 371M"': (
        StandIn(
            "pytest --repro-checkpoints=checkpoints --repro-data=imagenet "
            '-k "clip and 1280"',
            NAMES,
        )
    ),
    "pytest --repro-checkpoints=checkpoints --repro-data=imagenet -m clip -n 4": (
        StandIn(
            "pytest --repro-checkpoints=checkpoints --repro-data=imagenet -m clip -n 2 "
            "-k real/80",
            "this machine may have two cores",
        )
    ),
    "repro eval supervised --data-path imagenet --ckpt 16M.pt "
    "--batch-size 128": StandIn(
        "repro eval supervised --data-path imagenet --batch-size 128 "
        "--ckpt checkpoints/supervised/real/80.pt",
        NAMES,
    ),
    "repro eval clip --data-path imagenet --ckpt 371M.pt": StandIn(
        "repro eval clip --data-path imagenet --ckpt checkpoints/clip/real/80.pt",
        NAMES,
    ),
    "repro eval timm:resnet50.a1_in1k --data-path imagenet": StandIn(PARSED, LIBRARY),
    "repro eval torchvision:mobilenet_v2 --data-path imagenet "
    "--ckpt mobilenet_v2.pth": StandIn(PARSED, LIBRARY),
    "repro eval open_clip:ViT-B-16.openai --data-path imagenet "
    "--table openclip_results.csv": StandIn(PARSED, LIBRARY),
    "repro import open_clip openclip_results.csv --data-path DATA": StandIn(
        "repro import open_clip openclip_results.csv --data-path imagenet", NAMES
    ),
    "repro plan --expected expected/timm --expected expected/open_clip --expected "
    "expected/torchvision --gpus 8 --cores 96": StandIn(
        "repro plan --expected embedded --gpus 8 --cores 96", NAMES
    ),
    "pytest tests/reproduction -n auto": StandIn(
        "pytest tests/reproduction -n auto -k real/80", TWO_CASES
    ),
    "pytest tests/reproduction --repro-engine=ray --repro-ray-address=HOST:6379": (
        StandIn(PARSED, CLUSTER)
    ),
    "pytest tests/reproduction --repro-shard=1/2 --repro-ledger=part-1": StandIn(
        "pytest tests/reproduction --repro-shard=1/2 --repro-ledger=part-1 -k real/80",
        TWO_CASES,
    ),
    "pytest tests/reproduction --repro-shard=2/2 --repro-ledger=part-2": StandIn(
        "pytest tests/reproduction --repro-shard=2/2 --repro-ledger=part-2 -k real/80",
        TWO_CASES,
    ),
    "repro dataset check /data/imagenet": StandIn(
        "repro dataset check imagenet", NAMES
    ),
    "repro dataset check /data/imagenet --bytes": StandIn(
        "repro dataset check imagenet --bytes", NAMES
    ),
    "repro dataset check /data/imagenet --record": StandIn(
        "repro dataset check imagenet --record", NAMES
    ),
    "repro link /mnt/share/models --checkpoints weights --dry-run": StandIn(
        "repro link checkpoints --checkpoints linked --dry-run", NAMES
    ),
    "repro link /mnt/share/models --checkpoints weights": StandIn(
        "repro link checkpoints --checkpoints linked", NAMES
    ),
    "repro inspect weights/clip/real/371M.pt": StandIn(
        "repro inspect weights/clip/real/1280.pt", NAMES
    ),
    "pytest tests/reproduction --repro-expected=expected/timm --repro-checkpoints=DIR "
    "-k resnet50": StandIn(
        "pytest tests/reproduction --repro-expected=expected/timm "
        "--repro-checkpoints=weights -k resnet50 --collect-only",
        "timm's weights cannot be shipped, so cases are only listed",
    ),
    "repro import table results.md --source=paper -o expected/mine --family=mine "
    "--dataset=imagenet-val": StandIn(
        "repro import table results.md --source=paper -o expected/two-moons "
        "--family=two-moons --dataset=imagenet-val",
        "the release that docs/own-paper.md begins takes the place of the reader's",
    ),
    "repro import table supervised.tex -o expected/synthetic-scaling --check "
    "--source=paper --title='Fan et al., table of supervised models' "
    "--url=https://arxiv.org/abs/2312.04567 --dataset=imagenet-val "
    "--protocol=paper-supervised --metric=top1 --as='Training data=family'": StandIn(
        "repro import table supervised.tex -o synthetic-scaling --check "
        "--source=paper --title='Fan et al., table of supervised models' "
        "--url=https://arxiv.org/abs/2312.04567 --dataset=imagenet-val "
        "--protocol=paper-supervised --metric=top1 --as='Training data=family'",
        "a copy, so that no test writes into the release",
    ),
    "repro new moons --weights weights --images images": StandIn(
        "repro new moons --weights weights/supervised --images imagenet/val", NAMES
    ),
    "pytest tests/test_moons.py": StandIn(
        "pytest tests/test_moons.py --collect-only",
        "the architecture of the embedded release is none that is recognised",
    ),
    "repro new two-moons --from-checkpoint weights/4M.pt": StandIn(
        "repro new two-moons --from-checkpoint weights/supervised/real/80.pt", NAMES
    ),
    "pytest tests/test_two_moons.py --repro-checkpoints=CHECKPOINTS "
    "--repro-data=DATA": (
        StandIn(
            "pytest tests/test_two_moons.py --repro-checkpoints=weights "
            "--repro-data=imagenet --collect-only",
            "ImageNet cannot be shipped, so cases are only listed",
        )
    ),
    "pytest --repro-expected=two-moons.toml --collect-only -q": StandIn(
        "pytest --repro-expected=expected/two-moons --collect-only -q",
        "the page's own file is read by tests/published",
    ),
    "repro history CASE": StandIn(
        "repro history supervised/real/80@digits-supervised", NAMES
    ),
    "repro show [RUN]": StandIn("repro show 1", NAMES),
    "repro compare 12 last": StandIn("repro compare 1 last", NAMES),
    "repro compare 12 13": StandIn("repro compare 1 2", NAMES),
    "repro accept 'supervised/real/*' --run 12": StandIn(
        "repro accept 'supervised/real/80*' --run 1 --expected copied", NAMES
    ),
    "pytest --repro-checkpoints=weights": StandIn(
        "pytest --repro-checkpoints=weights -k real/80", TWO_CASES
    ),
    "pytest --repro-resume": StandIn("pytest --repro-resume -k real/80", TWO_CASES),
    "repro attest green -o attestations --key key.pem": StandIn(
        "repro attest green -o signed --key key.pem",
        "the statements that are not signed are read by another line",
    ),
    "repro verify-attestation attestations/supervised_real_16M@*.intoto.json "
    "--weights 16M.pt": StandIn(
        f"repro verify-attestation attestations/{_STATEMENT} --weights {_WEIGHTS}",
        NAMES,
    ),
    "repro verify-attestation attestations/FILE --weights 16M.pt "
    "--public-key key.pub": StandIn(
        f"repro verify-attestation signed/{_STATEMENT} --weights {_WEIGHTS} "
        "--public-key key.pub",
        NAMES,
    ),
    "repro import model-card README.md "
    "--url=https://huggingface.co/OWNER/NAME/blob/COMMIT/README.md": StandIn(
        "repro import model-card card/README.md "
        "--url=https://huggingface.co/OWNER/NAME/blob/COMMIT/README.md",
        "a card with its configuration beside it",
    ),
    "repro import model-card hf://OWNER/NAME": StandIn(
        PARSED,
        "needs the Hub; tests/importing/test_model_card.py has a host of its own",
    ),
    **{
        f"pytest tests/test_{name}.py {options}": StandIn(
            f"pytest tests/test_{name}.py --repro-run-code --collect-only", SOMEBODYS
        )
        for name, options in {
            **dict.fromkeys(("cifar", "models", "mnist"), "--repro-run-code"),
            "lite": "--repro-data=IMAGENET --repro-run-code",
        }.items()
    },
    **{
        f"repro fetch --expected expected/{name} --checkpoints weights": StandIn(
            PARSED, f"{STRANGERS}; tests/published/test_gallery.py reads the release"
        )
        for name in ("cifar", "models", "mnist")
    },
    "pytest tests": StandIn(PARSED, "is what runs this"),
    "python -m benchmarks -o found.json": StandIn(
        PARSED, "takes ten minutes; tests/test_benchmarks.py measures rows in small"
    ),
}
#: Lines that begin so are parsed by the shell and not run.
PARSED_ONLY = {
    "python3 -m venv ": SCHEDULER,
    "tox ": SCHEDULER,
    "ray ": CLUSTER,
    "REPRO_NODE_PATHS=": CLUSTER,
    "sbatch ": CLUSTER,
    "array=": CLUSTER,
    "export ": CLUSTER,
    "pip install ": "needs an index; tests/packaging installs the wheel",
    "pip download ": STRANGERS,
    "curl ": STRANGERS,
    "npm ": STRANGERS,
    "mkdir ": STRANGERS,
    "unzip ": STRANGERS,
    "python -c ": STRANGERS,
    "uv ": "makes an environment of a developer",
    "uvx ": SCHEDULER,
    "pre-commit ": "changes the repository",
}


def documented_lines() -> Iterator[tuple[str, str]]:
    """Yield page and command of each line that a document shows."""
    for page in PAGES:
        text = page.read_text()
        fences = re.findall(r"^```(?:sh|bash|console)\n(.*?)^```", text, re.M | re.S)
        outside = re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)
        indented = re.findall(rf"^ {{4}}({_COMMAND}.*)$", outside, re.M)
        for block in (*fences, *indented):
            for line in re.sub(r"\\\n\s*", "", block).splitlines():
                command = re.sub(r"\s+#.*", "", line).strip()
                if command and not command.startswith("#"):
                    yield page.name, command


LINES = sorted({command: page for page, command in documented_lines()}.items())


def _is_parsed_only(command: str) -> bool:
    stand_in = STAND_INS.get(command)
    if stand_in is not None:
        return stand_in.line == PARSED
    return command.startswith(tuple(PARSED_ONLY))


def _begins(shown: set[str], start: str) -> bool:
    return any(command.startswith(start) for command in shown)


def test_every_stand_in_is_of_a_line_that_a_document_shows() -> None:
    shown = {command for command, _ in LINES}
    assert set(STAND_INS) <= shown
    assert all(_begins(shown, start) for start in PARSED_ONLY)
    assert all(stand_in.why for stand_in in STAND_INS.values())


def test_documents_show_nothing_but_commands_that_are_known() -> None:
    unknown = [command for command, _ in LINES if not re.match(_COMMAND, command)]
    assert not unknown


@pytest.mark.parametrize(
    "command", [command for command, _ in LINES if _is_parsed_only(command)]
)
def test_a_line_that_cannot_run_here_is_one_of_the_shell(command: str) -> None:
    subprocess.run(["bash", "-n", "-c", command], check=True, timeout=60)
    for script in re.findall(r"tools/\S+", command):
        assert (ROOT / script).is_file()
    for name in re.findall(r"tox -e (\w+)", command):
        assert f"[testenv:{name}]" in (ROOT / "tox.ini").read_text()


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Make the folder that the lines run in."""
    here = tmp_path_factory.mktemp("documented")
    shutil.copytree(EMBEDDED / "checkpoints", here / "weights")
    shutil.copytree(EMBEDDED / "checkpoints", here / "checkpoints")
    shutil.copytree(EMBEDDED / "val", here / "imagenet/val")
    shutil.copytree(EMBEDDED, here / "copied")
    shutil.copytree(ROOT / "expected/synthetic-scaling", here / "synthetic-scaling")
    shutil.copytree(
        ROOT / "tests/reproduction",
        here / "tests/reproduction",
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    (here / "tmp").mkdir()
    (here / "pytest.ini").write_text(
        "[pytest]\ntestpaths = tests/reproduction\naddopts = --import-mode=importlib\n"
    )
    write_keys(here, "key")
    (here / "card").mkdir()
    (here / "card/README.md").write_text(CARD)
    (here / "card/config.json").write_text('{"architecture": "resnet18"}')
    (here / "results-imagenet.csv").write_text(TIMM)
    (here / "openclip_results.csv").write_text(OPEN_CLIP)
    (here / "results.md").write_text("| Model | Top-1 |\n|---|---|\n| best | 76.13 |\n")
    (here / "supervised.tex").write_text(
        "Training data & 1M & 4M \\\\ \\midrule\nsupervised/real & 60.1 & 70.2 \\\\\n"
    )
    with running_host() as host:
        folder = host.share_folder("/scl/fo/1/h", zipped({"1M.pt": weights(1)}))
        Released(here / "tiny", here / "none").link(folder)
        with pytest.MonkeyPatch.context() as monkeypatch:
            for _ in range(2):
                _run(here, "pytest -k real/80", monkeypatch)
        before = _files(EMBEDDED)
        yield here
        # What a line records stands beside a release: here beside the copy.
        assert _files(EMBEDDED) == before


def _files(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if "__pycache__" not in path.parts}


def _run(project: Path, command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a line as its reader does, and expect that it ends well."""
    for name in ("PYTEST_ADDOPTS", "PYTEST_XDIST_WORKER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("REPRO_CACHE", str(project / "cache"))
    monkeypatch.setenv("XDG_DATA_HOME", str(project / "data-home"))
    if "--expected" not in command and "--repro-expected" not in command:
        monkeypatch.setenv("REPRO_EXPECTED", "copied")
    if "--checkpoints" not in command and command.startswith("repro"):
        monkeypatch.setenv("REPRO_CHECKPOINTS", "weights")
    monkeypatch.chdir(project)
    program, *arguments = shlex.split(command)
    for place, argument in enumerate(arguments):
        if argument.endswith(_STATEMENT):  # As a shell does; its name has a digest.
            (file,) = project.glob(argument)
            arguments[place] = str(file)
    if program == "repro":
        done = CliRunner().invoke(cli, arguments)
        assert done.exit_code == 0, f"{done.output}{done.exception}"
        return
    assert program == "pytest"
    found = subprocess.run(
        [sys.executable, "-m", "pytest", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
        env={**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(project / "tmp")},
    )
    assert found.returncode == 0, found.stdout + found.stderr


#: What a line needs from others, which therefore come first.
_FIRST = (
    "pytest --repro-checkpoints",
    "pytest tests/reproduction -n",
    "repro new",
    "repro import timm",
    "repro attest",
    "pytest tests/reproduction --repro-shard",
)


def _order(command: str) -> tuple[bool, str]:
    return not command.startswith(_FIRST), command


_RUN = [command for command, _ in LINES if not _is_parsed_only(command)]
_IN_ORDER = sorted(_RUN, key=_order)


@pytest.mark.slow
@pytest.mark.parametrize("command", _IN_ORDER)
def test_a_line_of_the_documents_runs(
    project: Path, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in = STAND_INS.get(command)
    _run(project, stand_in.line if stand_in else command, monkeypatch)


def named_commands() -> Iterator[tuple[str, list[str]]]:
    """Yield page and words of what any Markdown of the repository has as a command.

    Also where it is one of a sentence, of a workflow or of a transcript.
    """
    folders = (ROOT / "docs", ROOT / "expected", ROOT / ".github")
    for page in (*ROOT.glob("*.md"), *(p for f in folders for p in f.rglob("*.md"))):
        text = re.sub(r"\\\n\s*", "", page.read_text())
        spans = re.findall(r"`((?:repro|pytest|tox|python -m) [^`]+)`", text)
        lines = re.findall(r"^[ $-]*(?:run: )?((?:repro|pytest) [^:\n]+)$", text, re.M)
        for command in {*spans, *lines}:
            yield page.name, re.sub(r"\s#.*", "", command).split()


def _unknown(words: list[str]) -> str | None:
    """Say what a command has that is not there; None where all of it is."""
    given = [word.partition("=")[0] for word in words if word.startswith("--")]
    if words[0] == "pytest" or words[:3] == ["python", "-m", "pytest"]:
        ours = {option.flag_name for option in OPTIONS.values()}
        return next(
            (o for o in given if o.startswith("--repro") and o not in ours), None
        )
    if words[:2] == ["tox", "-e"]:
        is_there = f"[testenv:{words[2]}]" in (ROOT / "tox.ini").read_text()
        return None if is_there else words[2]
    if words[0] != "repro":
        module = ROOT / words[2].replace(".", "/")
        is_there = module.is_dir() or module.with_suffix(".py").is_file()
        return None if is_there else words[2]
    command: click.Command | None = cli
    context = click.Context(cli)
    for word in words[1:]:
        if not isinstance(command, click.Group) or not re.match(r"[a-z]", word):
            break
        command = command.get_command(context, word)
        if command is None:
            return word
    assert command
    known = {o for parameter in command.get_params(context) for o in parameter.opts}
    return next((option for option in given if option not in known), None)


def test_what_a_document_names_as_a_command_is_there_with_its_options() -> None:
    found = [(name, words, _unknown(words)) for name, words in named_commands()]
    assert len(found) > 100
    unknown = [(name, " ".join(words), what) for name, words, what in found if what]
    assert not unknown
