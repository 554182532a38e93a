"""Parameters of `repro ...`: a call without and with each, and what that changes."""

from __future__ import annotations

from typing import NamedTuple


class Row(NamedTuple):
    """A call without and with a parameter, and what only the latter says or writes.

    `given` follows `call`, in the place of `instead` where the parameter is required.
    """

    call: str
    given: str
    says: str
    instead: str = ""


PLAN = "plan --expected=paper.toml --gpus=0 --cores=2"
DIGITS = "expected/digits"
WEIGHTS = f"{DIGITS}/checkpoints/supervised/real"
EVAL = f"eval supervised --data-path={DIGITS} --ckpt={WEIGHTS}/80.pt"
BARE_TABLE = "import table printed.md -o small"
TABLE = f"{BARE_TABLE} --source=paper --family=cnn/ours --dataset=c10"
DIFFERS = TABLE.replace("printed", "differs").replace("paper", "readme")
SPREAD = TABLE.replace("printed", "spread")
CHECK = f"dataset check {DIGITS} --dataset=digits-val"
NEW_IMAGES = f"new mine --images={DIGITS}/val"
NEW = f"{NEW_IMAGES} --weights={WEIGHTS}/80.pt"
LINK = "link mirror supervised/* --dry-run --checkpoints=linked"
MERGE = "merge .repro:1 other --ledger=merged"
ACCEPT = "accept supervised/real/1M@plain --run=1 --expected=paper.toml"
IMPORT_CARD = "import model-card card/README.md --url=https://x.org"
CARD = "export model-card 1 -o a.md --case=*/1M@*"
CASE = "supervised/real/1M@plain"

ROWS = {
    "version": Row("", "--version", ", version "),
    "cases expected": Row("cases", "--expected=paper.toml", "real/2M@plain"),
    "cases checkpoints": Row(
        "cases --expected=paper.toml", "--checkpoints=weights", "real/4M@plain"
    ),
    "cases as_json": Row("cases", "--json", '"training_data"'),
    "claims expected": Row("claims --published", "--expected=embedded", "7 claims:"),
    "claims ledger": Row(
        "claims --expected=embedded", "--ledger=none", "--ledger is none, and this"
    ),
    "claims published": Row("claims --expected=embedded", "--published", "holds "),
    "claims as_json": Row("claims --expected=embedded", "--json", '"verdict"'),
    "plan patterns": Row(PLAN, "'*/1M@*'", "cases    1 on"),
    "plan expected": Row("plan", "--expected=paper.toml", "50,000 photographs"),
    "plan checkpoints": Row(PLAN, "--checkpoints=weights", "cases    3 on"),
    "plan data": Row(PLAN, "--data=nowhere", "nowhere does not exist"),
    "plan cache": Row(PLAN, "--cache=paper.toml", "must be a folder, and is a file"),
    "plan ledger": Row(
        "plan --expected=paper.toml --gpus=3", "--ledger=none", "assumed speed"
    ),
    "plan gpus": Row("plan --expected=paper.toml --cores=2", "--gpus=3", "3 GPUs and"),
    "plan cores": Row("plan --expected=paper.toml --gpus=0", "--cores=7", "7 cores"),
    "plan speed": Row(PLAN, "--speed=5", "take     about 0:01:"),
    "plan limit": Row(PLAN, "--limit=1000", "2,000 images"),
    "plan costs_file": Row(PLAN, "--costs=costs.json", "costs.json"),
    "plan as_json": Row(PLAN, "--json", '"device_seconds"'),
    "eval what": Row(
        EVAL.replace("eval supervised", "eval"), "clip", "does not fit", "supervised"
    ),
    "eval table": Row(EVAL, "--table=printed.md", "--table has no effect"),
    "env device": Row("env", "--device=tpu", "--device is 'tpu'; it must be"),
    "eval data_path": Row(
        EVAL.replace(f"--data-path={DIGITS}", ""),
        "--data-path=photographs",
        "photographs",
        f"--data-path={DIGITS}",
    ),
    "eval ckpt": Row(
        EVAL.partition(" --ckpt")[0],
        f"--ckpt={WEIGHTS}/160.pt",
        "160.pt",
        f"--ckpt={WEIGHTS}/80.pt",
    ),
    "eval protocol": Row(EVAL, "--protocol=other", "known are digits-supervised"),
    "eval details": Row(EVAL, "--details", "Lowest class accuracies"),
    "eval real_labels": Row(EVAL, "--real-labels=none.json", "no ImageNet-ReaL labels"),
    "eval batch_size": Row(EVAL, "--batch-size=0", "it must be at least 1"),
    "eval expected": Row(EVAL, "--expected=embedded", "of the 500 images"),
    "eval cache": Row(EVAL, "--cache=pixels", "pixels/pixels/"),
    "eval device": Row(EVAL, "--device=tpu", "--device is 'tpu'; it must be"),
    "eval precision": Row(EVAL, "--precision=fp8", "--precision is 'fp8'; it must be"),
    "eval accelerate": Row(EVAL, "--accelerate=compile", "compile was not used"),
    **{
        f"import {name} {parameter}": row
        for name in ("timm", "open_clip", "clip_benchmark")
        for parameter, row in {
            "table": Row(f"import {name}", "paper.toml", "no column", f"{name}.csv"),
            "url": Row(f"import {name} {name}.csv", "--url=https://a.org/b", "a.org/b"),
            "output": Row(f"import {name} {name}.csv", "-o here", "here/release.toml"),
            "check": Row(f"import {name} {name}.csv", "--check", "exit status 1"),
        }.items()
    },
    "import open_clip data_path": Row(
        "import open_clip open_clip.csv", "--data-path=none", "'none' does not exist"
    ),
    "import torchvision output": Row("import torchvision", "-o here", "here/release.t"),
    "import torchvision check": Row("import torchvision", "--check", "exit status 1"),
    "import model-card card": Row(
        "import model-card --url=https://x.org",
        "card/README.md",
        "1 row of",
        "printed.md",
    ),
    "import model-card url": Row(
        "import model-card card/README.md", "--url=https://x.org", "https://x.org"
    ),
    "import model-card output": Row(
        "import model-card card/README.md --url=https://x.org",
        "-o here",
        "here/release.t",
    ),
    "import model-card check": Row(
        "import model-card card/README.md --url=https://x.org",
        "--check",
        "exit status 1",
    ),
    "import table file": Row(
        TABLE.replace("printed.md", ""), "two.md", "say which table", "printed.md"
    ),
    "import table source": Row(
        TABLE.replace("--source=paper", ""),
        "--source=other",
        "has no [source.other]",
        "--source=paper",
    ),
    "import table title": Row(TABLE, "--title=Title", "--title: small has a"),
    "import table url": Row(TABLE, "--url=https://a.org", "--url: small has a"),
    "import table form": Row(TABLE, "--format=csv", "table 1 has no number"),
    "import table number": Row(TABLE, "--table=2", "--table"),
    "import table header_rows": Row(TABLE, "--header-rows=2", "has no number"),
    "import table checkpoint": Row(TABLE, "--checkpoint=32M", "'32M' by another"),
    "import table family": Row(
        TABLE.replace("--family=cnn/ours", ""), "--family=cnn/base", "cnn/base/4M@c10"
    ),
    "import table dataset": Row(
        TABLE.replace("--dataset=c10", ""), "--dataset=c100", "cnn/ours/4M@c100"
    ),
    "import table protocol": Row(TABLE, "--protocol=other", "no protocol 'other'"),
    "import table metric": Row(TABLE, "--metric=top5", "'top5' by another"),
    "import table meanings": Row(TABLE, "--as=Top-1=top5", "'Top-1' top5"),
    "import table unit": Row(TABLE, "--unit=fraction", "so it is no top1 in fraction"),
    "import table decimal_comma": Row(TABLE, "--decimal-comma", "is no number"),
    "import table runs": Row(SPREAD, "--runs=3", "runs = 3"),
    "import table spread": Row(
        f"{SPREAD} --runs=3", "'--spread=standard error'", '"standard error"'
    ),
    "import table only_new": Row(DIFFERS, "--only-new", "written to small/ref"),
    "import table check": Row(DIFFERS, "--check --only-new", "beside --check"),
    "import table output": Row(
        TABLE.replace("-o small", ""), "-o small", "written to small/ref"
    ),
    "fetch patterns": Row(
        "fetch --expected=tiny --checkpoints=got", "clip/*", "no family is named"
    ),
    "fetch expected": Row(
        "fetch --checkpoints=got", "--expected=tiny", "supervised/real: fetched 1M.pt"
    ),
    "fetch checkpoints": Row(
        "fetch --expected=tiny", "--checkpoints=got", "got/supervised/real/1M.pt"
    ),
    "fetch jobs": Row(
        "fetch --expected=tiny --checkpoints=got", "--jobs=0", "1<=x<=32"
    ),
    "verify patterns": Row("verify", "clip/*", "1 file: 1 not recorded"),
    "verify expected": Row("verify", "--expected=paper.toml", "nothing to verify"),
    "verify checkpoints": Row("verify", "--checkpoints=weights", "real/4M.pt"),
    "verify record": Row("verify", "--record", "trusted from now on"),
    "verify jobs": Row("verify", "--jobs=0", "1<=x<=64"),
    "new name": Row("new", "yours", "expected/yours/release.toml", "mine"),
    "new checkpoint": Row(
        "new mine", f"--from-checkpoint={WEIGHTS}/80.pt", "The weights have 10 outputs"
    ),
    "new weights": Row(NEW_IMAGES, f"--weights={WEIGHTS}/80.pt", "10 images of 10"),
    "new images": Row(
        f"new mine --weights={WEIGHTS}/80.pt",
        f"--images={DIGITS}/val",
        "10 images of 10",
    ),
    "new code": Row(NEW, "--code=paper.toml", "a file of Python, .py"),
    "new gallery": Row(
        "new mine", "--gallery=cifar10-resnets", "its code, to be read before it is run"
    ),
    "new with_ci": Row("new mine", "--with-ci", "tox-nightly.ini"),
    "new cache": Row(NEW, "--cache=paper.toml", "must be a folder, and is a file"),
    "new device": Row(NEW, "--device=cuda:7", "cuda:7"),
    "inspect file": Row("inspect", f"{WEIGHTS}/160.pt", "160.pt", f"{WEIGHTS}/80.pt"),
    "inspect expected": Row(
        f"inspect {WEIGHTS}/80.pt",
        "--expected=paper.toml",
        "as        vit of paper",
    ),
    "link mirror": Row(
        "link --dry-run --checkpoints=linked", "weights", "1M.pt not taken", "mirror"
    ),
    "link patterns": Row(
        LINK.replace("supervised/*", ""), "clip/*", "nothing is linked"
    ),
    "link expected": Row(LINK, "--expected=tiny", "a case without published numbers"),
    "link checkpoints": Row(
        LINK.replace("--checkpoints=linked", ""), "--checkpoints=there", "in there"
    ),
    "link chosen": Row(LINK, "--family=supervised/real=others", "others: chosen"),
    "link dry_run": Row(LINK.replace("--dry-run", ""), "--dry-run", "would be linked"),
    "dataset check path": Row(
        CHECK.replace(DIGITS, ""), "photographs", "fault: ", DIGITS
    ),
    "dataset check expected": Row(
        CHECK, "--expected=embedded", "(UCI, CC BY 4.0) has 500"
    ),
    "dataset check cache": Row(CHECK, "--cache=kept", "kept/index"),
    "dataset check name": Row(
        f"dataset check {DIGITS}", "--dataset=other", "'other' is not known"
    ),
    "dataset check bytewise": Row(CHECK, "--bytes", "every image was decoded"),
    "dataset check record": Row(CHECK, "--record", "trusted from now on"),
    "dataset check jobs": Row(CHECK, "--jobs=2", "--jobs has no effect, since no"),
    "runs number": Row("runs", "-n 0", "x>=1"),
    "runs ledger": Row("runs", "--ledger=other", "1/1"),
    "show run": Row("show", "2", "4.000"),
    "show ledger": Row("show", "--ledger=other", "8M"),
    "history case": Row("history", "other", "no result of a case 'other'", CASE),
    "history number": Row(f"history {CASE}", "-n 1", "top-1  ▁  always 76.5"),
    "history ledger": Row(f"history {CASE}", "--ledger=other", "other has no result"),
    "compare run_a": Row("compare", "2 2", "run 2 → run 2", "1 2"),
    "compare run_b": Row("compare 1", "2", "run 1 → run 2"),
    "compare everything": Row("compare 1 2 --ledger=many", "--all", "real/39M "),
    "compare ledger": Row("compare 1 2", "--ledger=other", "has no run"),
    "merge parts": Row(
        MERGE.replace(".repro:1", ""), ".repro:3", "results of 1 of 2", ".repro:1"
    ),
    "merge outputs": Row(MERGE, "-o a.md", "report: a.md"),
    "merge incomplete": Row(
        MERGE.replace(":1", ":3"), "--incomplete", "2 cases: 2 reproduced"
    ),
    "merge expected": Row(MERGE, "--expected=nowhere.toml", "nowhere.toml"),
    "merge ledger": Row(
        MERGE.replace("--ledger=merged", ""), "--ledger=there", "there/ledger.sqlite"
    ),
    "report run": Row("report -o a.md", "2", "4.000", "1"),
    "report outputs": Row("report 1", "-o b.csv", "b.csv", "-o a.md"),
    "report baseline": Row("report 2 -o a.json", "--baseline=1", '"run": 1'),
    "report thumbnails": Row(
        "report 2 -o a.html --baseline=1",
        "--thumbnails=nowhere",
        "'nowhere' does not exist",
    ),
    "report ledger": Row("report -o a.md", "--ledger=other", "8M"),
    "export model-card run": Row(CARD.replace(" 1 ", " "), "2", "value: 80.5", "1"),
    "export model-card file": Row(
        CARD.replace("-o a.md", ""), "-o a.md", "1M in a.md", "-o b.md"
    ),
    "export model-card pattern": Row(
        CARD.replace("--case=*/1M@*", ""), "--case=*/2M@*", "2 numbers of 2M"
    ),
    "export model-card unmet": Row(
        f"{CARD} --ledger=below", "--unmet", "2 numbers of 1M"
    ),
    "export model-card ledger": Row(CARD, "--ledger=other", "compared no case"),
    "attest run": Row("attest -o out", "nine", "nine"),
    "attest folder": Row("attest", "-o there", "in there", "-o out"),
    "attest key": Row("attest -o out", "--key=paper.toml", "is no private key in PEM"),
    "attest ledger": Row("attest -o out", "--ledger=other", "8M"),
    "verify-attestation file": Row(
        "verify-attestation --weights=paper.toml",
        "paper.toml",
        "paper.toml cannot be read as JSON",
        "printed.md",
    ),
    "verify-attestation weights": Row(
        "verify-attestation paper.toml",
        "--weights=nowhere",
        "'nowhere' does not exist",
        "--weights=paper.toml",
    ),
    "verify-attestation public_key": Row(
        "verify-attestation paper.toml --weights=paper.toml",
        "--public-key=nowhere",
        "'nowhere' does not exist",
    ),
    "schema output": Row("schema", "--output=a.json", "a.json\n"),
    "prune keep_runs": Row("prune", "--keep-runs=1", "removed 1 run "),
    "prune predictions_mb": Row("prune", "--predictions-mb=0", "1 set of predictions"),
    "prune ledger": Row("prune", "--ledger=nowhere", "no ledger in nowhere"),
    "accept cases": Row(
        ACCEPT.replace(CASE, ""), "other", "the run has no case 'other'", CASE
    ),
    "accept run": Row(ACCEPT.replace("--run=1", ""), "--run=2", "top1 76.5", "--run=9"),
    "accept expected": Row(
        ACCEPT.replace("--expected=paper.toml", ""),
        "--expected=paper.toml",
        "added in paper.toml",
    ),
    "accept checkpoints": Row(ACCEPT, "--checkpoints=nowhere", "nowhere does not"),
    "accept ledger": Row(ACCEPT, "--ledger=other", "the run has no case"),
    "cache list cache": Row("cache list", "--cache=cache", "1 store of"),
    "cache check cache": Row("cache check", "--cache=cache", "1 store is sound"),
    "cache prune limit": Row("cache prune --cache=cache", "--limit=1k", "dropped 1"),
    "cache prune everything": Row("cache prune --cache=cache", "--all", "dropped 1"),
    "cache prune cache": Row("cache prune --all", "--cache=cache", "dropped 1"),
}
