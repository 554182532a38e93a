from __future__ import annotations

import gzip
import shutil
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import open_clip
import pytest
import torch
from attack.attack import limited_memory
from torch import Tensor, nn
from torch.nn import functional

import repro
from repro.errors import ExpectedError, WeightsError
from repro.files import DamageWarning
from repro.models import zeroshot
from repro.models.libraries import read_own_files
from repro.models.zeroshot import (
    RememberingTokenizer,
    Tokenizer,
    build_tokenizer,
    prompts_of,
    zeroshot_classifier,
)
from repro.published import EMBEDDED, TextSpec, read_releases
from tests.models import encoding
from tests.models.encoding import MANY, TEXT, note_encoded
from tests.stand_ins import small_clip

CPU = torch.device("cpu")


@pytest.fixture
def clip(tmp_path: Path) -> nn.Module:
    return small_clip(tmp_path)


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    tokens: Tokenizer = open_clip.SimpleTokenizer(context_length=77)
    return tokens


def environment(home: Path) -> dict[str, str]:
    """What a process needs to find this project and its tests."""
    path = [Path(repro.__file__).parents[1], Path(__file__).parents[2]]
    return {"PYTHONPATH": ":".join(map(str, path)), "HOME": str(home)}


def forwards(model: nn.Module) -> list[int]:
    """List the shapes of what the text tower encodes from now on."""
    lengths: list[int] = []
    embedding = model.get_submodule("token_embedding")
    embedding.register_forward_hook(
        lambda module, inputs, output: lengths.append(inputs[0].shape[1])
    )
    return lengths


@torch.no_grad()
def plain_classifier(model: nn.Module, tokens: Tokenizer, text: TextSpec) -> Tensor:
    """Encode as the release's script does: a class at a time, padded to the context."""
    rows = []
    for name in text.classnames:
        prompts = tokens([template.format(name) for template in text.templates])
        embeddings = model.encode_text(prompts, normalize=True)  # type: ignore[operator]
        rows.append(functional.normalize(embeddings.mean(dim=0), dim=-1))
    return torch.stack(rows)


@pytest.mark.parametrize(
    "variant",
    [
        {},
        {"no_causal_mask": True},
        {"pool_type": "last"},
        {"layers": 1, "heads": 1},
        {"ls_init_value": 0.3},
    ],
    ids=["causal", "bidirectional", "last token", "one layer", "scaled"],
)
def test_embeddings_are_those_of_padded_prompts(
    variant: dict[str, Any], tokenizer: Tokenizer, tmp_path: Path
) -> None:
    model = small_clip(tmp_path, **variant)
    expected = plain_classifier(model, tokenizer, TEXT)
    found = zeroshot_classifier(model, tokenizer, TEXT, CPU)
    assert found.dtype == torch.float32
    assert (found - expected).abs().max() <= 1e-6


def test_a_model_whose_text_tower_is_a_part_of_its_own_is_encoded_too(
    tokenizer: Tokenizer, tmp_path: Path
) -> None:
    model = small_clip(tmp_path, options={"force_custom_text": True})
    expected = plain_classifier(model, tokenizer, TEXT)
    found = zeroshot_classifier(model, tokenizer, TEXT, CPU)
    assert (found - expected).abs().max() <= 1e-6


def test_tokens_that_a_text_tower_does_not_have_are_refused(
    tokenizer: Tokenizer, tmp_path: Path
) -> None:
    model = small_clip(tmp_path, vocab_size=100)
    with pytest.raises(ExpectedError, match="49,407, and the text tower knows 100;"):
        zeroshot_classifier(model, tokenizer, TEXT, CPU)


@pytest.mark.parametrize(
    ("classnames", "templates"),
    [
        (("cat",), ("a photo of a {}.", "{}")),
        (("cat", "cat"), ("a photo of a {}.",)),
        (("cat", "cat food", "cat food bowl"), ("{}", "a {}", "the {} is there")),
        (("a", "b"), ("a very long prompt " * 30 + "{}", "{}" + " and more" * 60)),
    ],
    ids=["one class", "same class twice", "one begins as another", "cut at the end"],
)
def test_common_beginnings_of_prompts_change_nothing(
    classnames: tuple[str, ...],
    templates: tuple[str, ...],
    clip: nn.Module,
    tokenizer: Tokenizer,
) -> None:
    text = TextSpec(classnames=classnames, templates=templates)
    expected = plain_classifier(clip, tokenizer, text)
    found = zeroshot_classifier(clip, tokenizer, text, CPU)
    assert (found - expected).abs().max() <= 1e-6


def test_the_eighty_templates_of_the_paper_are_encoded_as_padded_prompts(
    clip: nn.Module, tokenizer: Tokenizer
) -> None:
    templates = open_clip.OPENAI_IMAGENET_TEMPLATES
    names = open_clip.IMAGENET_CLASSNAMES[::250]
    rows = []
    for name in names:
        prompts = tokenizer([template(name) for template in templates])
        assert len(prompts) == 80
        with torch.no_grad():
            embeddings = clip.encode_text(prompts, normalize=True)  # type: ignore[operator]
        rows.append(functional.normalize(embeddings.mean(dim=0), dim=-1))
    text = TextSpec(
        classnames=tuple(names), templates="open_clip:OPENAI_IMAGENET_TEMPLATES"
    )
    found = zeroshot_classifier(clip, tokenizer, text, CPU)
    assert (found - torch.stack(rows)).abs().max() <= 1e-6


def test_the_lists_of_the_paper_are_a_thousand_classes_in_eighty_templates() -> None:
    prompts, per_class = prompts_of(
        TextSpec(
            classnames="open_clip:IMAGENET_CLASSNAMES",
            templates="open_clip:OPENAI_IMAGENET_TEMPLATES",
        )
    )
    assert (len(prompts), per_class) == (80_000, 80)
    assert prompts[0] == "a bad photo of a tench."


def test_padding_is_not_computed_where_attention_is_causal(
    clip: nn.Module, tokenizer: Tokenizer
) -> None:
    lengths = forwards(clip)
    zeroshot_classifier(clip, tokenizer, TEXT, CPU)
    assert max(lengths) < 30


def test_prompts_are_tokenized_again_only_when_they_change(
    tokenizer: Tokenizer,
) -> None:
    asked: list[list[str]] = []

    def noting(prompts: Sequence[str]) -> Tensor:
        asked.append(list(prompts))
        return tokenizer(prompts)

    remembering = RememberingTokenizer(noting)
    for prompts in (["an ant"], ["an ant"], ["a bee"]):
        assert torch.equal(remembering(prompts), tokenizer(prompts))
    assert asked == [["an ant"], ["a bee"]]


def test_the_second_time_nothing_is_encoded(
    clip: nn.Module, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    first = zeroshot_classifier(clip, tokenizer, TEXT, CPU, tmp_path)
    lengths = forwards(clip)
    second = zeroshot_classifier(clip, tokenizer, TEXT, CPU, tmp_path)
    assert not lengths
    assert torch.equal(first, second)


def encoded_again(
    model: nn.Module, tokens: Tokenizer, text: TextSpec, cache: Path, note: str = ""
) -> bool:
    lengths = forwards(model)
    zeroshot_classifier(model, tokens, text, CPU, cache, note)
    return bool(lengths)


def change_weights(model: nn.Module) -> None:
    model.get_parameter("ln_final.bias").data[3] += 1e-4


def change_activation(model: nn.Module) -> None:
    for name in [name for name, _ in model.named_modules()]:
        if name.endswith("gelu"):
            model.set_submodule(name, nn.GELU())


def change_heads(model: nn.Module) -> None:
    for module in model.get_submodule("transformer").modules():
        if isinstance(module, nn.MultiheadAttention):
            module.num_heads, module.head_dim = 2, 16


def change_pooling(model: nn.Module) -> None:
    model.text_pool_type = "last"  # type: ignore[assignment]


@pytest.mark.parametrize(
    "change", [change_weights, change_activation, change_heads, change_pooling]
)
def test_another_text_tower_is_encoded_again(
    change: Callable[[nn.Module], None],
    clip: nn.Module,
    tokenizer: Tokenizer,
    tmp_path: Path,
) -> None:
    before = zeroshot_classifier(clip, tokenizer, TEXT, CPU, tmp_path)
    change(clip)
    assert encoded_again(clip, tokenizer, TEXT, tmp_path)
    after = zeroshot_classifier(clip, tokenizer, TEXT, CPU, tmp_path)
    assert not torch.equal(before, after)


def test_a_vocabulary_that_only_the_text_tower_knows_is_looked_up_there(
    tokenizer: Tokenizer,
) -> None:
    model = nn.Module()
    model.text = nn.Module()
    model.text.vocab_size = 100  # type: ignore[assignment]
    with pytest.raises(ExpectedError, match="49,407, and the text tower knows 100;"):
        zeroshot_classifier(model, tokenizer, TEXT, CPU)


def test_by_another_torch_a_text_tower_is_encoded_again(
    clip: nn.Module,
    tokenizer: Tokenizer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert encoded_again(clip, tokenizer, TEXT, tmp_path)
    monkeypatch.setattr(torch, "__version__", "99.0")
    assert encoded_again(clip, tokenizer, TEXT, tmp_path)
    assert not encoded_again(clip, tokenizer, TEXT, tmp_path)


def test_other_prompts_and_another_precision_are_encoded_again(
    clip: nn.Module, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    fewer = TextSpec(classnames=TEXT.classnames, templates=TEXT.templates[1:])
    renamed = TextSpec(classnames=("a", "b", "c"), templates=TEXT.templates)
    assert encoded_again(clip, tokenizer, TEXT, tmp_path)
    assert encoded_again(clip, tokenizer, fewer, tmp_path)
    assert encoded_again(clip, tokenizer, renamed, tmp_path)
    assert encoded_again(clip, tokenizer, TEXT, tmp_path, note="bf16")
    assert not encoded_again(clip, tokenizer, TEXT, tmp_path)


def test_the_same_prompts_grouped_otherwise_are_encoded_again(
    clip: nn.Module, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    one = TextSpec(classnames=("a", "b"), templates=("{}", "{} c"))
    other = TextSpec(classnames=("a", "a c", "b", "b c"), templates=("{}",))
    assert prompts_of(one)[0] == prompts_of(other)[0]
    assert encoded_again(clip, tokenizer, one, tmp_path)
    assert encoded_again(clip, tokenizer, other, tmp_path)


def test_another_tokenizer_is_encoded_again(
    clip: nn.Module, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    assert encoded_again(clip, tokenizer, TEXT, tmp_path)
    other = open_clip.SimpleTokenizer(context_length=77, clean="canonicalize")
    assert encoded_again(clip, other, TEXT, tmp_path)


def test_the_image_tower_and_the_scale_do_not_matter(
    clip: nn.Module, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    assert encoded_again(clip, tokenizer, TEXT, tmp_path)
    clip.get_parameter("logit_scale").data.add_(1)
    clip.get_parameter("visual.proj").data.add_(1)
    assert not encoded_again(clip, tokenizer, TEXT, tmp_path)


def test_whoever_comes_second_waits_and_encodes_nothing(
    tokenizer: Tokenizer, tmp_path: Path
) -> None:
    models = [small_clip(tmp_path), small_clip(tmp_path)]
    lengths = [forwards(model) for model in models]
    with ThreadPoolExecutor(2) as pool:
        found = list(
            pool.map(
                lambda m: zeroshot_classifier(m, tokenizer, TEXT, CPU, tmp_path), models
            )
        )
    assert sorted(map(bool, lengths)) == [False, True]
    assert torch.equal(*found)


def test_two_that_need_the_same_classes_share_the_work(
    tokenizer: Tokenizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = [small_clip(tmp_path), small_clip(tmp_path)]
    noted = note_encoded(monkeypatch, threading.get_ident)
    with ThreadPoolExecutor(2) as pool:
        found = list(
            pool.map(
                lambda m: zeroshot_classifier(m, tokenizer, MANY, CPU, tmp_path), models
            )
        )
    prompts = Counter(prompt for _, prompt in noted)
    assert len(prompts) == len(prompts_of(MANY)[0])
    assert set(prompts.values()) == {1}
    assert len({who for who, _ in noted}) == 2
    assert torch.equal(*found)
    assert torch.equal(found[0], zeroshot_classifier(models[0], tokenizer, MANY, CPU))


def test_in_parts_or_at_once_embeddings_differ_by_rounding_only(
    clip: nn.Module, tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_once = zeroshot_classifier(clip, tokenizer, MANY, CPU)
    monkeypatch.setattr(zeroshot, "CLASSES_PER_PART", 5)
    in_parts = zeroshot_classifier(clip, tokenizer, MANY, CPU)
    assert (at_once - in_parts).abs().max() <= 1e-6


@pytest.mark.slow
def test_two_processes_encode_each_prompt_once_and_both_work(
    clip: nn.Module, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    folders = [tmp_path / "one", tmp_path / "other"]
    processes = []
    for folder in folders:
        folder.mkdir()
        command = sys.executable, encoding.__file__, str(tmp_path), str(folder)
        processes.append(subprocess.Popen(command, env=environment(tmp_path)))
    assert [process.wait(timeout=120) for process in processes] == [0, 0]
    expected = zeroshot_classifier(clip, tokenizer, MANY, CPU)
    encoded: list[tuple[int, ...]] = []
    for folder in folders:
        found, prompts = torch.load(folder / "found")
        assert (found - expected).abs().max() <= 1e-6
        assert prompts
        encoded += prompts
    assert len(encoded) == len(set(encoded)) == len(prompts_of(MANY)[0])


@pytest.mark.slow
def test_another_process_finds_the_classifier(
    clip: nn.Module, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    subprocess.run(
        [sys.executable, encoding.__file__, str(tmp_path)],
        env=environment(tmp_path),
        check=True,
    )
    assert not encoded_again(clip, tokenizer, TEXT, tmp_path / "cache")


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[:-4],
        lambda content: b"",
        lambda content: content[:200] + bytes([content[200] ^ 1]) + content[201:],
        lambda content: content[:-1] + bytes([content[-1] ^ 1]),
    ],
    ids=["cut off", "empty", "a bit", "a bit of the checksum"],
)
def test_a_damaged_file_is_encoded_again(
    damage: Callable[[bytes], bytes],
    clip: nn.Module,
    tokenizer: Tokenizer,
    tmp_path: Path,
) -> None:
    first = zeroshot_classifier(clip, tokenizer, TEXT, CPU, tmp_path)
    (file,) = (tmp_path / "text").glob("*.npy")
    file.write_bytes(damage(file.read_bytes()))
    with pytest.warns(DamageWarning, match="is not as it was written; it is made"):
        assert encoded_again(clip, tokenizer, TEXT, tmp_path)
    again = zeroshot_classifier(clip, tokenizer, TEXT, CPU, tmp_path)
    assert torch.equal(first, again)


def test_a_cache_that_cannot_be_written_only_costs_time(
    clip: nn.Module, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    found = zeroshot_classifier(clip, tokenizer, TEXT, CPU, tmp_path / "file")
    assert torch.equal(found, zeroshot_classifier(clip, tokenizer, TEXT, CPU))


def test_embeddings_that_are_not_finite_are_an_error(
    clip: nn.Module, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    clip.get_parameter("ln_final.weight").data.fill_(float("nan"))
    with pytest.raises(WeightsError, match="embeddings that are not finite"):
        zeroshot_classifier(clip, tokenizer, TEXT, CPU, tmp_path)
    assert not list((tmp_path / "text").glob("*.npy"))


def test_a_list_that_open_clip_does_not_have_is_an_error() -> None:
    text = TextSpec(classnames="open_clip:BIRDS", templates=("{}",))
    with pytest.raises(ExpectedError, match=r"open_clip .* has no list BIRDS; "):
        prompts_of(text)


@pytest.mark.parametrize(
    ("key", "content"),
    [
        *(("tokenizer", content) for content in (b"merges", b"\x1f\x8b\x08")),
        ("tokenizer", gzip.compress(b"\xff" * 50, mtime=0)),
        ("tokenizer", gzip.compress(bytes(2**27), mtime=0)),
        *(("config", content) for content in (b"", b"5", b"{}", b"[" * 100_000)),
        ("config", b'{"text_cfg": {"context_length": 1e12}}'),
        ("config", b'{"text_cfg": {"context_length": "x"}}'),
    ],
)
def test_files_of_a_text_tower_that_are_none_are_a_sentence(
    key: str, content: bytes, tmp_path: Path
) -> None:
    spec = read_releases(["embedded"])[0].models["clip-digits"]
    location = Path(shutil.copytree(EMBEDDED, tmp_path / "release"))
    (location / spec.files[key]).write_bytes(content)
    files = read_own_files(spec, location)
    with limited_memory(2**30), pytest.raises(ExpectedError) as caught:
        build_tokenizer(spec, files)
    assert "cannot build the tokenizer of model 'clip-digits'" in str(caught.value)
