"""A stranger's release as it is made, and what is spoilt of it at several places."""

from __future__ import annotations

import copy
import gzip
import json
import tomllib
import zlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import tomli_w
from hypothesis import assume
from hypothesis import strategies as st

from repro.published import EMBEDDED

from .attack import RAN, Attack
from .damage import NUMBERS, TEXT, TEXTS, damaged, spoilt, untrue
from .odd import ODD, ODD_TEXTS, odd_images, odd_weights
from .sound import file_names
from .whole_runs import PLACE

Tree = dict[str, Any]
#: The files below the release by their names, and its TOML before it is written.
Files = dict[str, bytes]

RELEASE = PLACE / "release"
_CHECKPOINTS = ("supervised/real/80", "clip/real/80")
_DIGITS = tuple("0123456789")

#: Code that strangers leave about, and that nobody has allowed to be run.
_CODE = f"from pathlib import Path\nPath({RAN!r}).touch()\n".encode()
_LYING_ABOUT = ("conftest.py", "timm.py", "repro.py", "sitecustomize.py", "model.py")


@cache
def _toml() -> Tree:
    """Give the TOML of a release of two models."""
    tree: Tree = tomllib.loads((EMBEDDED / "release.toml").read_text("utf-8"))
    tree["family"] = {n: tree["family"][n] for n in ("supervised/real", "clip/real")}
    tree["dataset"]["digits-val"] |= {"images": len(_DIGITS)}
    tree["model"]["vit-digits"]["weights_key"] = ""
    tree["release"]["note"] = "What the authors say."
    published: Tree = {"dataset": "digits-val", "checkpoint": "80", "source": "make"}
    tree["reference"] = [
        {
            **published,
            "family": "supervised/real",
            "protocol": "digits-supervised",
            "top1": "70.00",
            "loss": "0.925264",
            "note": "Read in the table.",
        },
        {
            **published,
            "family": "clip/real",
            "protocol": "digits-clip",
            "top1": "80.0",
            "xfail": "The authors say why: https://example.org/1",
        },
    ]
    return tree


@cache
def _files() -> Files:
    """Give what lies beside the TOML: weights, images, a configuration, code."""
    found = {f"checkpoints/{c}.pt": _read(f"checkpoints/{c}.pt") for c in _CHECKPOINTS}
    found |= {f"val/{d}/{d}.jpg": _read(f"val/{d}/{d}-00.jpg") for d in _DIGITS}
    found |= {n: _read(n) for n in ("clip-digits.json", "bytes.bpe.gz")}
    return found | dict.fromkeys(_LYING_ABOUT, _CODE)


def _read(name: str) -> bytes:
    return Path(EMBEDDED, name).read_bytes()


# Texts and numbers ------------------------------------------------------------

_ANY_TEXT = st.one_of(ODD_TEXTS, ODD_TEXTS, TEXT, TEXTS)
_EXTREMES = st.sampled_from(
    [
        *("1e308", "-0", "nan", "inf", "0", "9" * 400, "9" * 60, f"0.{'0' * 59}1"),
        *("100.0", "100.1", "0.0", "1e-400", "٣", "5_0", " 50", "50.", ".5", "+50"),
        *(1e308, -0.0, float("nan"), float("inf"), 5e-324, 10**400, -1, 0, 2**63),
    ]
)


def _texts_of(tree: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """List where texts stand in a tree."""
    found = []
    items = tree.items() if isinstance(tree, dict) else enumerate(tree)
    for key, value in items:
        if isinstance(value, dict | list):
            found += _texts_of(value, (*path, key))
        elif isinstance(value, str):
            found.append((*path, key))
    return found


Edit = Callable[[st.DrawFn, Tree, Files], None]


def _other_text(draw: st.DrawFn, tree: Tree, files: Files) -> None:
    """Say something else, or more, wherever a text is."""
    *way, last = draw(st.sampled_from(_texts_of(tree)))
    holder: Any = tree
    for key in way:
        holder = holder[key]
    text = draw(_ANY_TEXT)
    holder[last] = draw(st.sampled_from([text, f"{holder[last]}{text}"]))


_NOTES = (
    *(("release", "note"), ("release", "title"), ("release", "paper")),
    *(("source", "make", "title"), ("source", "make", "url")),
    *(("dataset", "digits-val", "title"), ("family", "clip/real", "training_data")),
    *(("family", "clip/real", "note"), ("reference", 0, "note")),
    ("reference", 1, "xfail"),
)


def _noted(draw: st.DrawFn, tree: Tree, files: Files) -> None:
    """Say something else where all texts are right."""
    *way, last = draw(st.sampled_from(_NOTES))
    holder: Any = tree
    for key in way:
        holder = holder[key]
    text = draw(_ANY_TEXT)
    holder[last] = text.translate(dict.fromkeys([*range(32), *range(127, 160)])) or "a"


def _spoilt_tree(draw: st.DrawFn, tree: Tree, files: Files) -> None:
    spoil = draw(st.sampled_from([spoilt, untrue]))
    changed = draw(spoil(tree))
    tree.clear()
    tree.update(changed)


def _number(draw: st.DrawFn, tree: Tree, files: Files) -> None:
    """Publish another number, tolerance or spread."""
    reference = draw(st.sampled_from(tree["reference"]))
    keys = ["top1", "top5", "loss", "tolerance", "runs", "top1_spread", "gflops"]
    value = draw(_EXTREMES | NUMBERS)
    key = draw(st.sampled_from(keys))
    reference[key] = value
    if key == "tolerance":
        reference["tolerance"] = draw(st.sampled_from([value, {"top1": value}]))
        reference["tolerance_reason"] = "because"


# Models -------------------------------------------------------------------------------

_SIZES = st.sampled_from(
    [
        *(0, 1, -1, 3, 7, 1000, 10**4, 10**5, 10**6, 10**9, 2**31, 2**62, 10**30),
        *(0.5, 1e308, float("nan"), float("inf"), True, "x", "", [], [10**9], {}),
    ]
)
_OPTIONS = (
    *("img_size", "patch_size", "embed_dim", "depth", "num_heads", "mlp_ratio"),
    *("num_classes", "in_chans", "drop_path_rate", "global_pool", "class_token"),
    *("reg_tokens", "act_layer", "norm_layer", "block_fn", "features_only"),
    *("pretrained_cfg", "pretrained_cfg_overlay", "checkpoint_path", "cache_dir"),
    *("dynamic_img_size", "pos_embed", "weight_init", "scriptable", "exportable"),
    *("mlp_layer", "embed_layer", "pretrained_strict", "out_indices", "fc_norm"),
    *("pre_norm", "init_values", "qk_norm", "no_embed_class", "device", "dtype"),
)
_ARCHITECTURES = st.sampled_from(
    [
        *("resnet18", "resnet18.a1_in1k", "vit_giant_patch14_224", "RN50", "x"),
        *("hf-hub:timm/resnet18", "local-dir:/etc", "hf_hub:a/b", "../release/x"),
        *("ViT-bigG-14", "ViT-B-32.openai", "eva_giant_patch14_560", "vgg19"),
        *("{checkpoint}", "resnet152", "vit_7b_patch16_dinov3", "regnety_2560"),
        *("os.system", "timm.create_model", "coca_ViT-L-14", "swin_v2_cr_giant_384"),
    ]
)


def _option(draw: st.DrawFn, tree: Tree, files: Files) -> None:
    """Give the model another option, or another value of one."""
    model = tree["model"]["vit-digits"]
    options = model.setdefault("options", {})
    values = st.one_of(_SIZES, st.sampled_from(["relu", "LayerNorm", "token", "avg"]))
    options[draw(st.sampled_from(_OPTIONS))] = draw(values)
    if draw(st.booleans()):
        options[draw(st.sampled_from(_OPTIONS[:8]))] = draw(_SIZES)


def _architecture(draw: st.DrawFn, tree: Tree, files: Files) -> None:
    """Name another architecture, or somebody else to build it."""
    model = tree["model"][draw(st.sampled_from(["vit-digits", "clip-digits"]))]
    if draw(st.booleans()):
        model["architecture"] = draw(_ARCHITECTURES)
    else:
        loaders = ["torchvision", "onnx", "python", "timm", "open_clip", "os:system"]
        model["loader"] = draw(st.sampled_from(loaders))
        if model["loader"] == "python":
            model |= {"code": "model.py", "architecture": "Path"}
    if draw(st.booleans()):
        model["options"] = {}
        model.pop("config", None)


def _configuration(draw: st.DrawFn, tree: Tree, files: Files) -> None:
    """Give CLIP another configuration, or other tokens."""
    if draw(st.integers(0, 3)) == 0:
        sound = files["bytes.bpe.gz"]
        files["bytes.bpe.gz"] = draw(st.sampled_from(_bombs()) | damaged(sound))
        return
    content = files["clip-digits.json"]
    if draw(st.integers(0, 3)) == 0:
        files["clip-digits.json"] = draw(damaged(content) | st.just(b"[" * 100_000))
        return
    config = json.loads(content)
    part = draw(st.sampled_from([config, config["vision_cfg"], config["text_cfg"]]))
    names = ["hf_model_name", "hf_tokenizer_name", "timm_model_name", "pool_type"]
    key = draw(st.sampled_from([*part, *names]))
    part[key] = draw(_SIZES | TEXT)
    try:
        files["clip-digits.json"] = json.dumps(config).encode()
    except (ValueError, RecursionError):
        assume(condition=False)


@cache
def _bombs() -> tuple[bytes, ...]:
    """Make tokens that are few only as long as they are packed."""
    packing = zlib.compressobj(9, zlib.DEFLATED, 31)
    parts = [packing.compress(bytes(2**20)) for _ in range(2**9)]
    many = gzip.compress(b"a b\n" * 500_000)
    return b"".join(parts) + packing.flush(), many, b""


def _protocol(draw: st.DrawFn, tree: Tree, files: Files) -> None:
    """Measure in another way, up to what a protocol may say."""
    protocol = tree["protocol"][draw(st.sampled_from(sorted(tree["protocol"])))]
    sizes = ["1", "28", "27", "1x9999", "9999", "9999x1", "3000", "224", "28x28"]
    kinds = ["resize({},bicubic)", "center_crop({})", "contain({},lanczos)"]
    kinds += ["cover({},box)", "resize({},bilinear,no_antialias)"]
    what = draw(st.sampled_from(["geometry", "mean", "std", "precision", "scale"]))
    if what == "geometry":
        first = draw(st.sampled_from(["rgb", "rgb", "grey"]))
        step = st.builds(str.format, st.sampled_from(kinds), st.sampled_from(sizes))
        steps = draw(st.lists(step, max_size=4))
        last = draw(st.sampled_from([["center_crop(28)"], []]))
        protocol["geometry"] = "|".join([first, *steps, *last])
    elif what == "precision":
        protocol["precision"] = draw(
            st.sampled_from(["fp16", "bf16", "amp-bf16", "amp-fp16", "tf32", "int8"])
        )
    elif what == "scale":
        protocol["logit_scale"] = draw(_EXTREMES | st.just("checkpoint"))
    else:
        protocol[what] = [draw(st.sampled_from([0.0, 1.0, 5e-324, 1e-30, 0.5]))] * 3


def _prompts(draw: st.DrawFn, tree: Tree, files: Files) -> None:
    """Describe classes at length, often, or not as many as there are."""
    text = tree["protocol"]["digits-clip"].setdefault("text", {})
    if draw(st.booleans()):
        templates = st.sampled_from(
            [
                *(["{}" + "a" * 300_000], ["{}"] * 2000, ["a {}"] * 3),
                *(["{}{}"], ["{0}"], ["{}\x1b"], [], ["{!r}"], ["é" * 100_000 + "{}"]),
                *("open_clip:OPENAI_IMAGENET_TEMPLATES", "open_clip:x", "os:system"),
            ]
        )
        text["templates"] = draw(templates)
    else:
        names = st.sampled_from(
            [
                *([*_DIGITS[:9]], [*_DIGITS, "x"], ["a"] * 10, [""] * 10),
                *(["a" * 300_000, *_DIGITS[1:]], [str(n) for n in range(50_000)]),
                ["{}", "\u202e", *_DIGITS[2:]],
            ]
        )
        text["classnames"] = draw(names)


def _classes(draw: st.DrawFn, tree: Tree, files: Files) -> None:
    """Name other classes, or other outputs, than there are."""
    dataset = tree["dataset"]["digits-val"]
    lists = st.sampled_from(
        [
            *([*_DIGITS[::-1]], [*_DIGITS[:9]], [*_DIGITS, "A", "a"], []),
            *([str(n) for n in range(100_000)], [*_DIGITS[:9], "9" * 5000]),
            *([*_DIGITS[:9], "../9"], [*_DIGITS[:9], "\u202e"], ["0"] * 10),
        ]
    )
    dataset[draw(st.sampled_from(["classes", "classes", "outputs"]))] = draw(lists)
    if draw(st.booleans()):
        dataset["images"] = draw(st.sampled_from([0, 9, 11, 10**9, 10**30, -1]))
    if draw(st.booleans()):
        dataset["folder"] = draw(st.sampled_from(["..", ".", "/etc", "val/0", "VAL"]))


def _but_for_case(draw: st.DrawFn, tree: Tree, files: Files) -> None:
    """Let two things have the same name but for case."""
    table = draw(st.sampled_from(["family", "protocol", "model", "dataset", "source"]))
    name = draw(st.sampled_from(sorted(tree[table])))
    tree[table][draw(st.sampled_from([name.upper(), name.title()]))] = tree[table][name]
    tree["reference"].append({**tree["reference"][0], table: name.upper()})
    file = "checkpoints/supervised/real/80.pt"
    files[file.upper()] = files[file.replace("real", "REAL")] = files[file]


# Weights ------------------------------------------------------------------------------


def _weights(draw: st.DrawFn, tree: Tree, files: Files) -> None:
    """Spoil a checkpoint as bytes, exchange it, or let it hold odd tensors."""
    names = [f"checkpoints/{name}.pt" for name in _CHECKPOINTS]
    name = draw(st.sampled_from(names))
    what = draw(st.sampled_from(["bytes", "exchange", *ODD, *ODD]))
    if what == "bytes":
        files[name] = draw(damaged(files[name]))
    elif what == "exchange":
        files[names[0]], files[names[1]] = files[names[1]], files[names[0]]
    else:
        files[name] = odd_weights(_files()[name], what)


# Images -------------------------------------------------------------------------------


def _image(draw: st.DrawFn, tree: Tree, files: Files) -> None:
    """Spoil an image, put an odd one in its place, or call it otherwise."""
    digit = draw(st.sampled_from(_DIGITS))
    name = f"val/{digit}/{digit}.jpg"
    what = draw(st.sampled_from(["bytes", "name", *odd_images(), *odd_images()]))
    if what == "bytes":
        files[name] = draw(damaged(files[name]))
    elif what == "name":
        files[f"val/{draw(file_names())}"] = files.pop(name)
    else:
        files[name] = odd_images()[what]


#: Those that end most runs before the first case, and those that seldom do.
_SHALLOW: tuple[Edit, ...] = (
    *(_other_text, _spoilt_tree, _number, _classes, _but_for_case, _image),
)
_DEEP: tuple[Edit, ...] = (
    *(_option, _option, _architecture, _configuration, _protocol, _prompts),
    *(_weights, _weights, _noted, _noted),
)
_EDITS = st.sampled_from(_SHALLOW + _DEEP * 3)
_PLAIN = "--repro-no-diagnose"
_RUN = ("", *[_PLAIN] * 4, "--repro-limit=5", f"{_PLAIN} --repro-precision=guarded")


def sound() -> Files:
    """Give the files of a release that nobody has spoilt, by where they lie."""
    return _placed(_files(), tomli_w.dumps(_toml()).encode())


def _placed(files: Files, toml: bytes) -> Files:
    return {f"{RELEASE}/{n}": c for n, c in {**files, "release.toml": toml}.items()}


@st.composite
def releases(draw: st.DrawFn) -> Attack:
    """Spoil a stranger's release at one to four places, and run all of it."""
    tree, files = copy.deepcopy(_toml()), dict(_files())
    for edit in draw(st.lists(_EDITS, min_size=1, max_size=4)):
        # An edit may have taken away what the next one is about.
        try:
            edit(draw, tree, files)
        except (LookupError, TypeError, AttributeError, ValueError, RecursionError):
            assume(condition=False)
    try:
        written = tomli_w.dumps(tree).encode()
    except (ValueError, TypeError, UnicodeError, AttributeError, RecursionError):
        assume(condition=False)
    if not draw(st.integers(0, 29)):
        written = draw(damaged(written))
    option = draw(st.sampled_from(_RUN))
    return Attack("releases", ("run", *option.split()), _placed(files, written))
