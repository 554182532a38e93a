"""Tables as papers and READMEs print them become references, digit for digit."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result

from repro.cli import cli
from repro.errors import ReproError
from repro.importing.labels import several_metrics
from repro.published import read_releases

from .tables import RELEASE

OURS = ("--family=cnn/ours", "--dataset=c10")


class Shape(msgspec.Struct, frozen=True):
    """A table, what was said about it, and the numbers by family, name, set, metric."""

    name: str
    text: str
    options: tuple[str, ...]
    numbers: Mapping[str, str]


SHAPES = [
    Shape(
        "markdown, one column",
        "| Model | Accuracy |\n|---|---|\n| r20 | 91.73 |\n| r32 | 92.63 |\n",
        OURS,
        {"cnn/ours r20 c10 top1": "91.73", "cnn/ours r32 c10 top1": "92.63"},
    ),
    Shape(
        "markdown without outer bars, prose around it",
        "# Results\n\nText.\n\nModel | Top-1\n:--|--:\nr20 | 91.73\n\nMore, text.\n",
        OURS,
        {"cnn/ours r20 c10 top1": "91.73"},
    ),
    Shape(
        "errors",
        "| Name | # params | Test err |\n|---|---|---|\n| r20 | 0.27M | 8.27% |\n",
        OURS,
        {"cnn/ours r20 c10 error": "8.27"},
    ),
    Shape(
        "one number of two in bold or underlined",
        "| Model | Top-1 (%) | Top-5 (%) |\n|---|---|---|\n"
        "| r20 | **91.73** | __99.1__ |\n",
        OURS,
        {"cnn/ours r20 c10 top1": "91.73", "cnn/ours r20 c10 top5": "99.1"},
    ),
    Shape(
        "two numbers in a cell, as the heading says",
        "| Model | Top-1 / Top-5 | Params |\n|---|---|---|\n"
        "| r20 | 91.7/99.1 | 1M |\n| r32 | **92.6** / 99.3† | 2M |\n| r44 | - | 3M |\n",
        OURS,
        {
            "cnn/ours r20 c10 top1": "91.7",
            "cnn/ours r20 c10 top5": "99.1",
            "cnn/ours r32 c10 top1": "92.6",
            "cnn/ours r32 c10 top5": "99.3",
        },
    ),
    Shape(
        "two numbers in a cell of two datasets, the second behind the first",
        "Model,CIFAR-10 (ours),CIFAR-100\nr20,91.7 (99.1),68.2 (90.0)\n",
        (
            "--family=cnn/ours",
            "--header-rows=1",
            "--as=CIFAR-10 (ours)=top1/top5",
            "--as=CIFAR-100=skip",
            "--dataset=c10",
        ),
        {"cnn/ours r20 c10 top1": "91.7", "cnn/ours r20 c10 top5": "99.1"},
    ),
    Shape(
        "two errors in a cell",
        "Model\tError (top-1/top-5)\nr20\t8.3/0.9\n",
        OURS,
        {"cnn/ours r20 c10 error": "8.3", "cnn/ours r20 c10 error5": "0.9"},
    ),
    Shape(
        "two tables side by side",
        "| Model | Acc. | Model | Acc. |\n|---|---|---|---|\n"
        "| r20 | 91.7 | r44 | 92.8 |\n| r32 | 92.6 | | |\n",
        OURS,
        {
            "cnn/ours r20 c10 top1": "91.7",
            "cnn/ours r44 c10 top1": "92.8",
            "cnn/ours r32 c10 top1": "92.6",
        },
    ),
    Shape(
        "two tables side by side, each of its dataset, with a column between",
        "<table><tr><th colspan=2>CIFAR-10<th><th colspan=2>CIFAR-100</tr>"
        "<tr><th>Model<th>Acc<th><th>Model<th>Acc</tr>"
        "<tr><td>a<td>91.7<td><td>b<td>68.2</table>",
        ("--family=cnn/ours",),
        {"cnn/ours a c10 top1": "91.7", "cnn/ours b c100 top1": "68.2"},
    ),
    Shape(
        "footnotes raised, linked and as daggers",
        "| Model | Top-1 |\n|---|---|\n| a | 91.7<sup>1</sup> |\n| b | 90.0[^2] |\n"
        "| c | 89.5† |\n| d | 88¹ |\n",
        OURS,
        {
            "cnn/ours a c10 top1": "91.7",
            "cnn/ours b c10 top1": "90.0",
            "cnn/ours c c10 top1": "89.5",
            "cnn/ours d c10 top1": "88",
        },
    ),
    Shape(
        "links in names",
        "| Model | Acc@1 |\n|---|---|\n| [r20](https://a.b/logs/c) | 91.73 |\n",
        OURS,
        {"cnn/ours r20 c10 top1": "91.73"},
    ),
    Shape(
        "names that link to weights files",
        "| Model | Acc@1 |\n|---|---|\n"
        "| [R20](https://a.b/r20-1d1ed7c2.pth) | 91.73 |\n"
        "| R32 ([weights](https://a.b/r32.pth.tar?raw=1), [log](https://a.b/r32.log))"
        " | 92.6 |\n",
        OURS,
        {"cnn/ours r20-1d1ed7c2 c10 top1": "91.73", "cnn/ours r32 c10 top1": "92.6"},
    ),
    Shape(
        "weights files in a column of their own",
        "| Model | Acc@1 | Download |\n|---|---|---|\n"
        "| R20 | 91.73 | [here](https://a.b/r20-1d1ed7c2.pth) |\n",
        (*OURS, "--as=Download=skip"),
        {"cnn/ours r20-1d1ed7c2 c10 top1": "91.73"},
    ),
    Shape(
        "weights files of one name in many folders",
        "| Model | Acc@1 |\n|---|---|\n| [r20](https://a.b/r20/best.pth) | 91.73 |\n"
        "| [r32](https://a.b/r32/best.pth) | 92.6 |\n",
        OURS,
        {"cnn/ours r20 c10 top1": "91.73", "cnn/ours r32 c10 top1": "92.6"},
    ),
    Shape(
        "several datasets side by side",
        "| Model | CIFAR-10 | CIFAR-100 |\n|---|---|---|\n| r20 | 91.73 | 68.20 |\n",
        ("--family=cnn/ours", "--metric=top1"),
        {"cnn/ours r20 c10 top1": "91.73", "cnn/ours r20 c100 top1": "68.20"},
    ),
    Shape(
        "datasets above, metrics below, by spans in HTML",
        "<table><thead><tr><th rowspan=2>Model</th><th colspan=2>CIFAR-10</th>"
        "<th colspan=2>CIFAR-100</th></tr><tr><th>top-1</th><th>top-5</th>"
        "<th>top-1</th><th>top-5</th></tr></thead><tbody>"
        "<tr><td>r20<td>91.7<td>99.1<td>68.2<td>90.0</table>",
        ("--family=cnn/ours",),
        {
            "cnn/ours r20 c10 top1": "91.7",
            "cnn/ours r20 c10 top5": "99.1",
            "cnn/ours r20 c100 top1": "68.2",
            "cnn/ours r20 c100 top5": "90.0",
        },
    ),
    Shape(
        "names that span rows in HTML",
        "<table><tr><th>Family<th>Checkpoint<th>Acc</tr>"
        "<tr><td rowspan=2>ours<td>1M<td>50.1</tr><tr><td>4M<td>60.1</tr>"
        "<tr><td>base<td>1M<td>40.1</tr></table>",
        ("--dataset=c10",),
        {
            "cnn/ours 1M c10 top1": "50.1",
            "cnn/ours 4M c10 top1": "60.1",
            "cnn/base 1M c10 top1": "40.1",
        },
    ),
    Shape(
        "a table in a README's HTML without a head",
        "<p>x</p><table><tr><td>model</td><td>loss</td></tr>"
        "<tr><td>r20</td><td>0.3518</td></tr></table>",
        OURS,
        {"cnn/ours r20 c10 loss": "0.3518"},
    ),
    Shape(
        "sizes as columns and families as rows",
        "| Method | 1M | 8M |\n|---|---|---|\n| ours | 50.1 | 91.2 |\n"
        "| base | 40.1 | 81.2 |\n",
        ("--dataset=c10", "--metric=top1", "--as=1M=checkpoint:1M"),
        {
            "cnn/ours 1M c10 top1": "50.1",
            "cnn/ours 8M c10 top1": "91.2",
            "cnn/base 1M c10 top1": "40.1",
            "cnn/base 8M c10 top1": "81.2",
        },
    ),
    Shape(
        "sizes as plain numbers in a column that is said to be names",
        "size,top1\n80,12.50\n640,34.1\n",
        (*OURS, "--as=size=checkpoint"),
        {"cnn/ours 80 c10 top1": "12.50", "cnn/ours 640 c10 top1": "34.1"},
    ),
    Shape(
        "LaTeX with booktabs, multicolumn and multirow",
        r"""
\begin{table}\caption{Results \label{t}}
\begin{tabular}{l|cc}
\toprule
\multirow{2}{*}{Model} & \multicolumn{2}{c}{CIFAR-10} \\ \cmidrule(lr){2-3}
 & Top-1 & Top-5 \\ \midrule
r20~\cite{he} & \textbf{91.7} & 99.1\% \\
r32 & $92.6^{\dagger}$ & \underline{99.3} \\
\bottomrule
\end{tabular}\end{table}
""",
        ("--family=cnn/ours",),
        {
            "cnn/ours r20 c10 top1": "91.7",
            "cnn/ours r20 c10 top5": "99.1",
            "cnn/ours r32 c10 top1": "92.6",
            "cnn/ours r32 c10 top5": "99.3",
        },
    ),
    Shape(
        "LaTeX rows alone, as they are pasted from a paper's source",
        "Model & Top-1 \\\\ \\hline\nr20 & 91.7 \\\\\nr32 & 92.6 \\\\\n",
        OURS,
        {"cnn/ours r20 c10 top1": "91.7", "cnn/ours r32 c10 top1": "92.6"},
    ),
    Shape(
        "LaTeX with a section for each family",
        r"""\begin{tabular}{lc} Model & Acc. \\ \hline
\multicolumn{2}{l}{\emph{ours}} \\ 1M & 50.1 \\ \hline
\multicolumn{2}{l}{\emph{base}} \\ 1M & 40.1 \\ \end{tabular}""",
        ("--dataset=c10",),
        {"cnn/ours 1M c10 top1": "50.1", "cnn/base 1M c10 top1": "40.1"},
    ),
    Shape(
        "LaTeX with colours, sizes, siunitx and a spread",
        r"""\begin{tabularx}{\linewidth}{lXX} Model & Top-1 & Loss \\ \midrule
\rowcolor{gray!10} r20 & \cellcolor[HTML]{AABBCC}\num{91.73} & 0.35 \\
r32 & \textcolor{red}{92.63}  & \textbf{0.30} \\[2pt] % best
\end{tabularx}""",
        OURS,
        {
            "cnn/ours r20 c10 top1": "91.73",
            "cnn/ours r20 c10 loss": "0.35",
            "cnn/ours r32 c10 top1": "92.63",
            "cnn/ours r32 c10 loss": "0.30",
        },
    ),
    Shape(
        "means of runs in five spellings",
        r"""\begin{tabular}{lc} Model & Acc. \\ \midrule
a & 91.60 $\pm$ 0.12 \\ b & $91.60_{\pm 0.12}$ \\ c & 91.60{\tiny $\pm$0.12} \\
d & 91.60 ($\pm$ 0.12) \\ e & 91.60(12) \\ \end{tabular}""",
        (*OURS, "--runs=5"),
        {f"cnn/ours {name} c10 top1": "91.60 ± 0.12" for name in "abcde"},
    ),
    Shape(
        "means of runs in Markdown",
        "| Model | Acc |\n|---|---|\n| a | 91.6 ± 0.1 |\n| b | 91.6 +/- 0.1 |\n"
        "| c | $91.6 \\pm 0.1$ |\n| d | 91.6<sub>±0.1</sub> |\n",
        (*OURS, "--runs=3", "--spread=standard error"),
        {f"cnn/ours {name} c10 top1": "91.6 ± 0.1" for name in "abcd"},
    ),
    Shape(
        "differences beside numbers",
        "| Model | Acc |\n|---|---|\n| a | 91.6 (+0.3) |\n| b | 90.1 ↓1.2 |\n",
        OURS,
        {"cnn/ours a c10 top1": "91.6", "cnn/ours b c10 top1": "90.1"},
    ),
    Shape(
        "cells without a number",
        "| Model | Acc | Loss |\n|---|---|---|\n| a | 91.6 | - |\n| b | n/a | 0.31 |\n"
        "| c | \N{EN DASH} | |\n",
        OURS,
        {"cnn/ours a c10 top1": "91.6", "cnn/ours b c10 loss": "0.31"},
    ),
    Shape(
        "fractions",
        "model,acc1,acc5\nr20,0.9173,0.991\nr32,.9263,0.993\n",
        (*OURS, "--unit=fraction"),
        {
            "cnn/ours r20 c10 top1": "91.73",
            "cnn/ours r20 c10 top5": "99.1",
            "cnn/ours r32 c10 top1": "92.63",
            "cnn/ours r32 c10 top5": "99.3",
        },
    ),
    Shape(
        "what a spreadsheet puts on the clipboard",
        "Model\tTop-1\tTop-5\r\nr20\t91.73\t99.10\r\n",
        OURS,
        {"cnn/ours r20 c10 top1": "91.73", "cnn/ours r20 c10 top5": "99.10"},
    ),
    Shape(
        "quoted cells with commas, columns that are left out",
        'Model,"Params (M)",FLOPs,Year,Top-1\n"r20",0.27,41,"2,015",91.73\n',
        (*OURS, "--as=Year=skip"),
        {"cnn/ours r20 c10 top1": "91.73"},
    ),
    Shape(
        "columns of plain text",
        "Model     Top-1   Top-5\nr20       91.73   99.10\n",
        OURS,
        {"cnn/ours r20 c10 top1": "91.73", "cnn/ours r20 c10 top5": "99.10"},
    ),
    Shape(
        "dataset and metric in one heading",
        "| Model | C10 acc | C100 err. |\n|---|---|---|\n| r20 | 91.73 | 31.8 |\n",
        (
            "--family=cnn/ours",
            "--as=C10 acc=dataset:c10,top1",
            "--as=C100 err.=dataset:c100,error",
        ),
        {"cnn/ours r20 c10 top1": "91.73", "cnn/ours r20 c100 error": "31.8"},
    ),
    Shape(
        "a heading that is empty, named by its place",
        "| | Top-1 |\n|---|---|\n| 80 | 12.5 |\n| 640 | 34.1 |\n",
        (*OURS, "--as=column 1=checkpoint"),
        {"cnn/ours 80 c10 top1": "12.5", "cnn/ours 640 c10 top1": "34.1"},
    ),
    Shape(
        "names that files do not have",
        "| Model | Acc |\n|---|---|\n| ResNet-20 (ours) | 91.73 |\n| Human | 94 |\n",
        (
            *OURS,
            "--as=ResNet-20 (ours)=checkpoint:resnet20-12fc",
            "--as=Human=skip",
        ),
        {"cnn/ours resnet20-12fc c10 top1": "91.73"},
    ),
    Shape(
        "a column of remarks",
        "| Model | Venue | Acc |\n|---|---|---|\n| r20 | CVPR | 91.73 |\n",
        (*OURS, "--as=Venue=skip"),
        {"cnn/ours r20 c10 top1": "91.73"},
    ),
    Shape(
        "the second of two tables",
        "| Model | Loss |\n|--|--|\n| a | 1.0 |\n\ntext\n\n"
        "| Model | Acc |\n|--|--|\n| a | 91.6 |\n",
        (*OURS, "--table=2"),
        {"cnn/ours a c10 top1": "91.6"},
    ),
    Shape(
        "two rows of headings that no rule ends",
        "Model,CIFAR-10,CIFAR-10\n,Top-1,Loss\nr20,91.73,0.35\n",
        ("--family=cnn/ours", "--header-rows=2"),
        {"cnn/ours r20 c10 top1": "91.73", "cnn/ours r20 c10 loss": "0.35"},
    ),
    Shape(
        "metrics as rows, checkpoints as columns",
        "| | 1M | 8M |\n|---|---|---|\n| Top-1 | 50.1 | 91.2 |\n| Loss | 2.1 | 0.3 |\n",
        (*OURS, "--as=1M=checkpoint:1M"),
        {
            "cnn/ours 1M c10 top1": "50.1",
            "cnn/ours 8M c10 top1": "91.2",
            "cnn/ours 1M c10 loss": "2.1",
            "cnn/ours 8M c10 loss": "0.3",
        },
    ),
    Shape(
        "loss above a thousand",
        "| Model | Loss |\n|---|---|\n| a | 1,000.0 |\n",
        OURS,
        {"cnn/ours a c10 loss": "1000.0"},
    ),
    Shape(
        "a LaTeX longtable with negative multirow and makecell",
        r"""\begin{longtable}{llc} Family & Model & \makecell{Top-1\\(\%)} \\ \midrule
 & 1M & 50.1 \\ \multirow{-2}{*}{ours} & 4M & 60.1 \\ \end{longtable}""",
        ("--dataset=c10",),
        {"cnn/ours 1M c10 top1": "50.1", "cnn/ours 4M c10 top1": "60.1"},
    ),
    Shape(
        "semicolons and decimal commas, as spreadsheets of half of the world write",
        "Model;Top-1;Loss\nr20;91,73;0,352\nr32;92,63;0,3\n",
        (*OURS, "--decimal-comma"),
        {
            "cnn/ours r20 c10 top1": "91.73",
            "cnn/ours r20 c10 loss": "0.352",
            "cnn/ours r32 c10 top1": "92.63",
            "cnn/ours r32 c10 loss": "0.3",
        },
    ),
    Shape(
        "semicolons with points",
        "Model;Top-1;Top-5\nr20;91.73;99.1\n",
        OURS,
        {"cnn/ours r20 c10 top1": "91.73", "cnn/ours r20 c10 top5": "99.1"},
    ),
    Shape(
        "decimal commas with a spread",
        "Model\tTop-1\nr20\t91,73 ± 0,12\n",
        (*OURS, "--decimal-comma", "--runs=3"),
        {"cnn/ours r20 c10 top1": "91.73 ± 0.12"},
    ),
    Shape(
        "siunitx columns, headings in braces and a cell without a number",
        r"""\begin{tabular}{l S[table-format=2.2] S} \toprule
{Model} & {Top-1} & {Top-5} \\ \midrule
r20 & 91.73 & {99.1} \\ r32 & \bfseries 92.63 & {--} \\ \bottomrule\end{tabular}""",
        OURS,
        {
            "cnn/ours r20 c10 top1": "91.73",
            "cnn/ours r20 c10 top5": "99.1",
            "cnn/ours r32 c10 top1": "92.63",
        },
    ),
    Shape(
        "tabularray, space kept for a mark, a macro of the document's own",
        r"""\begin{tblr}{lc} Model & Top-1 \\ \hline
r20 & \phantom{0}1.7 \\ r32 & 92.6\rlap{$^*$} \\ r44 & \best{93.1} \\ \end{tblr}""",
        OURS,
        {
            "cnn/ours r20 c10 top1": "1.7",
            "cnn/ours r32 c10 top1": "92.6",
            "cnn/ours r44 c10 top1": "93.1",
        },
    ),
    Shape(
        "a longtable whose headings stand for each page",
        r"""\begin{longtable}{lc} Model & Top-1 \\ \hline \endfirsthead
Model & Top-1 \\ \hline \endhead r20 & 91.7 \\ \end{longtable}""",
        OURS,
        {"cnn/ours r20 c10 top1": "91.7"},
    ),
    Shape(
        "notes of a threeparttable",
        r"""\begin{threeparttable}\begin{tabular}{lc}\toprule Model & Top-1\tnote{*} \\
\midrule r20 & 91.7\tnote{\dag} \\ \bottomrule\end{tabular}
\begin{tablenotes}\item[*] of 12.3 \end{tablenotes}\end{threeparttable}""",
        (*OURS, "--as=Top-1^*=top1"),
        {"cnn/ours r20 c10 top1": "91.7"},
    ),
    Shape(
        "what a page of HTML hides, and a name that spans all rows below",
        "<table><tr><th>Family<th>Model<th>Top-1</tr><tr><td rowspan=0>ours<td>r20"
        "<td>91.7<span style='display: none'>5</span></tr><tr><td>r32<td>92.6</tr>"
        "</table>",
        ("--dataset=c10",),
        {"cnn/ours r20 c10 top1": "91.7", "cnn/ours r32 c10 top1": "92.6"},
    ),
    Shape(
        "a tree of folders above the table",
        "```\n├── data\n│   └── x\n```\n\n| Model | Top-1 |\n|--|--|\n| r20 | 91.7 |\n",
        OURS,
        {"cnn/ours r20 c10 top1": "91.7"},
    ),
    Shape(
        "errors below one percent among others",
        "| Model | Top-1 error rate (%) |\n|--|--|\n| r20 | 0.9 |\n| r32 | 2.6 |\n",
        OURS,
        {"cnn/ours r20 c10 error": "0.9", "cnn/ours r32 c10 error": "2.6"},
    ),
    Shape(
        "an accuracy below one percent among others, which is said to be one",
        "| Model | Acc |\n|--|--|\n| r20 | 0.9 |\n| r32 | 92.6 |\n",
        (*OURS, "--unit=percent"),
        {"cnn/ours r20 c10 top1": "0.9", "cnn/ours r32 c10 top1": "92.6"},
    ),
    Shape(
        "struck out and nested formatting in HTML",
        "<table><tr><th>Model</th><th>Acc</th></tr><tr><td><a href=x><b>r20</b></a>"
        "</td><td><s>90.0</s> <b><i>91.7</i></b>&nbsp;%</td></tr></table>",
        OURS,
        {"cnn/ours r20 c10 top1": "91.7"},
    ),
]


@pytest.fixture
def release(tmp_path: Path) -> Path:
    folder = tmp_path / "small"
    folder.mkdir()
    (folder / "release.toml").write_text(RELEASE)
    return folder


def enter(release: Path, text: str, *options: str) -> Result:
    table = release.parent / "table.txt"
    table.write_text(text, encoding="utf-8")
    given = [str(table), "--source=paper", f"--output={release}", *options]
    return run("import", "table", *given)


def run(*arguments: str, pasted: str = "") -> Result:
    """Run the command; what the user can mend is its output, as on the command line."""
    result = CliRunner().invoke(cli, arguments, input=pasted)
    if isinstance(result.exception, ReproError):
        result.stdout_bytes = result.output_bytes = str(result.exception).encode()
    return result


def entered(release: Path) -> dict[str, str]:
    """Give what the release has now from the paper."""
    return {
        f"{reference.families[0]} {reference.checkpoint} {reference.dataset} "
        f"{reference.metric}": reference.printed
        for reference in read_releases([release])[0].references
        if reference.source == "paper"
    }


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
def test_a_table_is_entered_as_it_is_printed(release: Path, shape: Shape) -> None:
    result = enter(release, shape.text, *shape.options)
    assert result.exit_code == 0, result.output
    assert entered(release) == shape.numbers


REFUSALS = {
    "a heading that nobody knows": (
        "| Model | Score |\n|--|--|\n| a | 91 |\n",
        OURS,
        "'Score' is not known; say what it is with --as 'Score=",
    ),
    "a name that nobody knows": (
        "| Family | Acc |\n|--|--|\n| theirs | 91 |\n",
        ("--dataset=c10", "--checkpoint=a"),
        "'theirs' is not known",
    ),
    "nothing says which dataset": (
        "| Model | Acc |\n|--|--|\n| a | 91 |\n",
        ("--family=cnn/ours",),
        "nothing says which dataset",
    ),
    "nothing says which metric": (
        "| Model | CIFAR-10 |\n|--|--|\n| a | 91 |\n",
        ("--family=cnn/ours",),
        "nothing says which metric",
    ),
    "two labels contradict each other": (
        "| Model | CIFAR-10 |\n|--|--|\n| a | 91 |\n",
        ("--family=cnn/ours", "--dataset=c100", "--metric=top1"),
        "the dataset is 'c10' by one label and 'c100' by another",
    ),
    "a cell that is no number": (
        "| Model | Acc |\n|--|--|\n| a | 91 |\n| b | see text |\n",
        OURS,
        "table 1, row 3, column 2 'Acc': 'see text' is no number",
    ),
    "a decimal comma": (
        "Model\tAcc\na\t91,6\n",
        OURS,
        "a comma before decimals has to be written as a point",
    ),
    "a comma that may be one of thousands or of decimals": (
        "| Model | Loss |\n|--|--|\n| a | 0,352 |\n",
        OURS,
        "'0,352' is no number; a comma before decimals has to be written as a point, "
        "or say --decimal-comma",
    ),
    "a range": (
        "| Model | Acc |\n|--|--|\n| a | 91.7-92.0 |\n",
        OURS,
        "'91.7-92.0' is no number",
    ),
    "a macro that nobody knows behind a number": (
        r"Model & Acc \\ \hline a & 91.7\up{2} \\",
        OURS,
        r"'91.7\\up 2' is no number",
    ),
    "a macro that nobody knows in a name": (
        r"Model & Acc \\ \hline \ours{} 4M & 91.7 \\",
        OURS,
        r"'\ours 4M=checkpoint:NAME'",
    ),
    "a fraction among percentages": (
        "| Model | Acc |\n|--|--|\n| a | 0.917 |\n| b | 92.6% |\n",
        OURS,
        "has 0.917 where others of its kind are such as 92.6",
    ),
    "a row that sums up": (
        "| Model | Acc |\n|--|--|\n| a | 91.7 |\n| Average | 91.7 |\n",
        OURS,
        "'Average' is not known",
    ),
    "a table that is drawn": (
        "+-------+-------+\n| Model | Top-1 |\n+=======+=======+\n| r20   | 91.7  |\n",
        OURS,
        "make it one of Markdown first: pandoc -t gfm",
    ),
    "digits of another script": (
        "| Model | Acc |\n|--|--|\n| a | \N{FULLWIDTH DIGIT NINE}1.7 |\n",
        OURS,
        "is no number",
    ),
    "fractions or percent": (
        "| Model | Acc |\n|--|--|\n| a | 0.91 |\n",
        OURS,
        "--unit=fraction or --unit=percent",
    ),
    "above all images": (
        "| Model | Acc |\n|--|--|\n| a | 191 |\n",
        OURS,
        "191 is above 100",
    ),
    "a spread of unknown runs": (
        "| Model | Acc |\n|--|--|\n| a | 91 ± 1 |\n",
        OURS,
        "say of how many with --runs",
    ),
    "runs without a spread": (
        "| Model | Acc |\n|--|--|\n| a | 91 |\n",
        (*OURS, "--runs=3"),
        "--runs: no number of the table has a spread",
    ),
    "two numbers in a cell, and nobody says of what": (
        "| Model | Acc |\n|--|--|\n| a | 91.7/99.1 |\n",
        OURS,
        "'91.7/99.1' is no number; where it is several, say of what, --as "
        "'HEADING=top1/top5'",
    ),
    "another number of numbers than the heading says": (
        "| Model | Acc@1/Acc@5 |\n|--|--|\n| a | 91.7/99.1/3.2 |\n",
        OURS,
        "'91.7/99.1/3.2' is not top1 and top5, which its heading says",
    ),
    "names beside each other under other headings": (
        "| Model | Acc | Name | Acc |\n|--|--|--|--|\n| a | 91.7 | b | 92.6 |\n",
        OURS,
        "the checkpoint is 'a' by one label and 'b' by another",
    ),
    "one thing twice": (
        "| Model | Acc |\n|--|--|\n| a | 91 |\n| a | 92 |\n",
        OURS,
        "again 92",
    ),
    "a label that is not there": (
        "| Model | Acc |\n|--|--|\n| a | 91 |\n",
        (*OURS, "--as=Sore=skip"),
        "the table has no such label; it has Model, Acc, a",
    ),
    "a meaning that is none": (
        "| Model | Acc |\n|--|--|\n| a | 91 |\n",
        (*OURS, "--as=Acc=top2"),
        "'top2' is neither 'skip' nor a metric",
    ),
    "several tables": (
        "| Model | Acc |\n|--|--|\n| a | 91 |\n\nx\n\n"
        "| Model | Acc |\n|--|--|\n| b | 9 |",
        OURS,
        "say which table with --table=N",
    ),
    "a table that is not there": (
        "| Model | Acc |\n|--|--|\n| a | 91 |\n",
        (*OURS, "--table=2"),
        "--table=2: there is table 1",
    ),
    "no table": ("Nothing here.", OURS, "does not look like a table"),
    "a family that is not there": (
        "| Model | Acc |\n|--|--|\n| a | 91 |\n",
        ("--family=cnn/our", "--dataset=c10"),
        "the release has no family 'cnn/our'",
    ),
    "a name that is no file": (
        "| Model | Acc |\n|--|--|\n| a/../b | 91 |\n",
        OURS,
        "--as 'a/../b=checkpoint:NAME'",
    ),
    "a spread that is said of a source that is there": (
        "| Model | Acc |\n|--|--|\n| a | 91 |\n",
        (*OURS, "--title=Other"),
        "leave it out or name another --source",
    ),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_what_is_not_known_is_asked_for_and_nothing_is_written(
    release: Path, name: str
) -> None:
    text, options, sentence = REFUSALS[name]
    result = enter(release, text, *options)
    assert result.exit_code in {1, 2}, result.output
    assert sentence in result.output
    assert len(result.output) < 600
    assert "Traceback" not in result.output
    assert list(release.iterdir()) == [release / "release.toml"]


@pytest.mark.parametrize(
    ("heading", "metrics"),
    [
        ("Top-1 / Top-5", ("top1", "top5")),
        ("Top-1/Top-5 (%)", ("top1", "top5")),
        ("Acc@1/Acc@5", ("top1", "top5")),
        ("Acc@1/5", ("top1", "top5")),
        ("top-1 (top-5)", ("top1", "top5")),
        ("Top-1/Top-5 acc.", ("top1", "top5")),
        ("Top-5 / top-1 err.", ("error5", "error")),
        ("Accuracy (top-1/top-5)", ("top1", "top5")),
        ("Error (top-1/top-5)", ("error", "error5")),
        ("top-1 (top-5) error", ("error", "error5")),
        ("Acc/Loss", ("top1", "loss")),
        ("Top-1 (ours)", ()),
        ("Top-1 / Top-1", ()),
        ("Recall (top-1/top-5)", ()),
        ("Top-1/Params", ()),
        ("Top-1", ()),
        ("", ()),
    ],
)
def test_a_heading_says_which_numbers_stand_in_a_cell(
    heading: str, metrics: tuple[str, ...]
) -> None:
    assert several_metrics(heading) == metrics


def test_a_name_of_two_things_is_asked_for(release: Path) -> None:
    toml = RELEASE + RELEASE[RELEASE.index('[family."cnn/ours"]') :].replace(
        "cnn/", "vit/"
    )
    (release / "release.toml").write_text(toml)
    text = "| Family | Acc |\n|--|--|\n| ours | 91 |\n"
    said = ("--dataset=c10", "--checkpoint=a")
    result = enter(release, text, *said)
    assert "'ours' could be family cnn/ours or family vit/ours" in result.output
    assert not enter(release, text, *said, "--as=ours=family:vit/ours").exit_code
    assert entered(release) == {"vit/ours a c10 top1": "91"}


def test_differences_are_shown_before_anything_is_written(release: Path) -> None:
    text = "| Model | Acc |\n|--|--|\n| 8M | 91.25 |\n| 1M | 50.1 |\n"
    enter(release, text, *OURS)
    before = (release / "references.toml").read_bytes()
    changed = text.replace("50.1", "51.1") + "| 2M | 60.2 |\n"
    result = enter(release, changed, *OURS)
    assert result.exit_code == 1
    assert "~ cnn/ours/1M@c10 top1 50.1 -> 51.1" in result.output
    assert "1 numbers are new, 1 are there already, 1 are there with other digits" in (
        result.output
    )
    assert (release / "references.toml").read_bytes() == before
    assert enter(release, changed, *OURS, "--only-new").exit_code == 0
    assert entered(release)["cnn/ours 1M c10 top1"] == "50.1"
    assert entered(release)["cnn/ours 2M c10 top1"] == "60.2"


def test_a_number_with_fewer_digits_is_the_same_number(release: Path) -> None:
    enter(release, "| Model | Acc |\n|--|--|\n| 1M | 50.149 |\n", *OURS)
    result = enter(release, "| Model | Acc |\n|--|--|\n| 1M | 50.1 |\n", *OURS)
    assert "1 are there already" in result.output
    assert "50.149" in (release / "references.toml").read_text()


def test_another_sources_number_is_shown(release: Path) -> None:
    result = enter(release, "| Model | Acc |\n|--|--|\n| 8M | 90.00 |\n", *OURS)
    assert "cnn/ours/8M@c10 top1 is 91.25 by the source readme" in result.output


def test_checking_writes_nothing(release: Path) -> None:
    text = "| Model | Acc |\n|--|--|\n| a | 91 |\n"
    result = enter(release, text, *OURS, "--check")
    assert result.exit_code == 0
    assert "+ cnn/ours/a@c10 top1 91" in result.output
    assert list(release.iterdir()) == [release / "release.toml"]


def test_each_number_keeps_its_place_and_its_marks(release: Path) -> None:
    enter(release, "| Model | Acc |\n|--|--|\n| a | 91.6† |\n", *OURS)
    paper = [r for r in read_releases([release])[0].references if r.source == "paper"]
    assert paper[0].note == "top1: table 1, row 2, column 2 'Acc', marked †"


def test_a_new_source_is_written_with_its_numbers(release: Path) -> None:
    table = release.parent / "t.csv"
    table.write_text("Model,Acc\na,91.6\n")
    given = ["import", "table", str(table), f"--output={release}", *OURS]
    missing = run(*given, "--source=appendix")
    assert "say with --title and --url" in missing.output
    described = ("--title=Table 9", "--url=https://example.org/9")
    assert not run(*given, "--source=appendix", *described).exit_code
    assert read_releases([release])[0].sources["appendix"].title == "Table 9"


def test_what_is_pasted_is_read(release: Path) -> None:
    options = ("--source=paper", f"--output={release}", *OURS)
    result = run("import", "table", "-", *options, pasted="Model\tAcc\na\t91.6\n")
    assert result.exit_code == 0, result.output
    assert entered(release) == {"cnn/ours a c10 top1": "91.6"}


def test_a_release_stays_as_it_was_where_it_would_not_be_valid(release: Path) -> None:
    """That a protocol is not of the family shows only where all of it is read."""
    enter(release, "| Model | Acc |\n|--|--|\n| a | 91 |\n", *OURS)
    before = (release / "references.toml").read_bytes()
    zero_shot = """
[protocol.prompts]
geometry = "rgb|center_crop(32)"
mean = [0.5, 0.5, 0.5]
std = [0.5, 0.5, 0.5]
source = "paper"
logit_scale = 100.0
text.classnames = ["a", "b"]
text.templates = ["a {}"]
"""
    with (release / "release.toml").open("a") as stream:
        stream.write(zero_shot)
    text = "| Model | Acc |\n|--|--|\n| b | 91 |\n"
    result = enter(release, text, *OURS, "--protocol=prompts")
    assert "is clip, but the family 'cnn/ours' has supervised" in result.output
    assert (release / "references.toml").read_bytes() == before


def test_rows_of_a_section_that_is_left_out_are_not_asked_for(release: Path) -> None:
    text = "| Family | Acc |\n|--|--|\n| ours | 91 |\n| Others | |\n| theirs | 80 |\n"
    options = ("--dataset=c10", "--checkpoint=a", "--as=Others=skip")
    assert not enter(release, text, *options).exit_code
    assert entered(release) == {"cnn/ours a c10 top1": "91"}


def test_a_digit_too_many_is_pointed_out(release: Path) -> None:
    text = "| Model | Acc |\n|--|--|\n| a | 91.731 |\n| b | 92.60 |\n| c | 90.10 |\n"
    result = enter(release, text, *OURS)
    assert "91.731 has one more than all others of its kind, a footnote?" in (
        result.output
    )
    assert "has one more" not in enter(release, text.replace("731", "73"), *OURS).output


LINKED = (
    "| Model | Acc |\n|--|--|\n| [A](https://a.b/x/a-1.pth?raw=1) | 91.6 |\n"
    "| b ([weights](https://a.b/b/best.th), [log](https://a.b/b.log)) | 92.6 |\n"
    "| c ([weights](https://a.b/c/best.th)) | 93.6 |\n"
    "| [d](weights/d.pth) | 94.6 |\n"
)
NAMED = ("--as=b (weights, log)=checkpoint:b", "--as=c (weights)=checkpoint:c")


def test_links_of_weights_become_files_of_their_family(release: Path) -> None:
    result = enter(release, LINKED, *OURS, *NAMED)
    assert result.exit_code == 0, result.output
    assert "files    a-1.pth, b.th, c.th of cnn/ours, which rows link to" in (
        result.output
    )
    (written,) = read_releases([release])
    assert written.families["cnn/ours"].files == {
        "a-1.pth": "https://a.b/x/a-1.pth?raw=1",
        "b.th": "https://a.b/b/best.th",
        "c.th": "https://a.b/c/best.th",
    }
    assert written.families["cnn/base"].files == {}
    before = (release / "release.toml").read_text()
    assert before.startswith(RELEASE.partition("[family")[0])
    again = enter(release, LINKED, *OURS, *NAMED)
    assert "files " not in again.output
    assert (release / "release.toml").read_text() == before


def test_links_that_a_release_has_stay_and_checking_writes_none(release: Path) -> None:
    own = '[family."cnn/ours".files]\n"a-1.pt" = "https://other/a.pt"\n'
    toml = RELEASE.replace('[family."cnn/base"]', f'{own}[family."cnn/base"]')
    (release / "release.toml").write_text(toml)
    result = enter(release, LINKED, *OURS, *NAMED, "--check")
    assert "a-1.pth of cnn/ours stays with https://other/a.pt, not https://a.b" in (
        result.output
    )
    assert (release / "release.toml").read_text() == toml
    enter(release, LINKED, *OURS, *NAMED)
    (written,) = read_releases([release])
    assert written.families["cnn/ours"].files["a-1.pt"] == "https://other/a.pt"
    assert list(written.families["cnn/ours"].files) == ["a-1.pt", "b.th", "c.th"]


def test_a_row_of_two_families_gives_no_file(release: Path) -> None:
    text = "| Model | ours | base |\n|--|--|--|\n| [A](https://a.b/a.pth) | 91 | 90 |\n"
    result = enter(release, text, "--dataset=c10", "--metric=top1")
    assert result.exit_code == 0, result.output
    (written,) = read_releases([release])
    assert not any(family.files for family in written.families.values())
