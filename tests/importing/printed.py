"""Tables as papers and READMEs print them, and the numbers in them."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

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
        "footnotes and citations behind names and headings",
        "| Model^[1] | Top-1<sup>a</sup> | Top-5 [12] |\n|---|---|---|\n"
        "| r20<sup>b</sup> | 91.7 | 99.1 |\n| R32 [3, 4-6] | 92.6 | - |\n"
        "| r44† | 93.1 | - |\n| r56 [^2] | 93.2 | - |\n| r110¹ | 93.4 | - |\n",
        (*OURS, "--as=Model^[1]=checkpoint"),
        {
            "cnn/ours r20 c10 top1": "91.7",
            "cnn/ours r20 c10 top5": "99.1",
            "cnn/ours R32 c10 top1": "92.6",
            "cnn/ours r44 c10 top1": "93.1",
            "cnn/ours r56 c10 top1": "93.2",
            "cnn/ours r110 c10 top1": "93.4",
        },
    ),
    Shape(
        "footnotes behind names of LaTeX, and one that the release knows",
        r"""\begin{tabular}{llc} Method & Model$^{*}$ & Acc.\tnote{1} \\ \midrule
ours$^{\dagger}$ & r20\textsuperscript{a,b} & 91.7 \\ base\tnote{2} & r20$^*$ & 92.6 \\
\end{tabular}""",
        ("--dataset=c10", "--as=Method=family"),
        {"cnn/ours r20 c10 top1": "91.7", "cnn/base r20 c10 top1": "92.6"},
    ),
    Shape(
        "powers of ten",
        "| Model | Loss |\n|---|---|\n| a | 1.1e-3 |\n| b | 1.20E-03† |\n"
        "| c | 1.3\u00d710<sup>\u22123</sup> |\n| d | $1.4 \\times 10^{-3}$ |\n"
        "| e | 1.5·10⁻³ |\n| f | 1.234e1 |\n",
        OURS,
        {
            "cnn/ours a c10 loss": "0.0011",
            "cnn/ours b c10 loss": "0.00120",
            "cnn/ours c c10 loss": "0.0013",
            "cnn/ours d c10 loss": "0.0014",
            "cnn/ours e c10 loss": "0.0015",
            "cnn/ours f c10 loss": "12.34",
        },
    ),
    Shape(
        "powers of ten of a mean and its spread",
        "| Model | Loss |\n|---|---|\n| a | 1.1e-3 ± 2e-4 |\n"
        "| b | (1.1 ± 0.2) x 10^-3 |\n| c | 1.10(12)e-3 |\n",
        (*OURS, "--runs=3"),
        {
            "cnn/ours a c10 loss": "0.0011 ± 0.0002",
            "cnn/ours b c10 loss": "0.0011 ± 0.0002",
            "cnn/ours c c10 loss": "0.00110 ± 0.00012",
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
        "LaTeX with fonts, boxes, citations and signs of footnotes",
        r"""\begin{tabular}{lcc} Model & {\textsc{Top-1}} & \#Params \\ \midrule
\texttt{r20}~\citealp[see][p.~1]{he} & \hl{91.7} & 11\,M \\
\textsf{r32} & \mbox{92.6}$^\ddagger$\rlap{$^{\S}$} & \\
\uline{r44} & \scalebox{0.9}[1]{\textmd{93.1}} & \\ \end{tabular}""",
        (*OURS, "--as=#Params=skip"),
        {
            "cnn/ours r20 c10 top1": "91.7",
            "cnn/ours r32 c10 top1": "92.6",
            "cnn/ours r44 c10 top1": "93.1",
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
        OURS,
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
