"""What a link means, and what comes from links that are no HTTP."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from repro.errors import FetchError
from repro.fetching.obtaining import file_name, read_link

from .host import Answer, Host, HubAnswer
from .released import FAMILY, Released, weights, zipped


@pytest.mark.parametrize(
    ("text", "target"),
    [
        (
            "https://www.dropbox.com/scl/fo/a1/h?rlkey=b2&dl=0",
            "https://www.dropbox.com/scl/fo/a1/h?rlkey=b2&dl=1",
        ),
        (
            "https://www.dropbox.com/sh/a1/b2",
            "https://www.dropbox.com/sh/a1/b2?dl=1",
        ),
        ("https://example.org/1M.pt#top", "https://example.org/1M.pt"),
        ("http://h/1M.pt?a=%2Fb&c=", "http://h/1M.pt?a=%2Fb&c="),
        ("file:///data/my%20weights/1M.pt", "/data/my weights/1M.pt"),
        ("file://localhost/data/1M.pt", "/data/1M.pt"),
        ("hf://owner/repo/sub/1M.pt", "sub/1M.pt"),
    ],
)
def test_a_link_says_what_to_ask_for(text: str, target: str) -> None:
    assert read_link(text).target == target


def test_a_link_to_a_hub_names_repository_and_revision() -> None:
    link = read_link("hf://owner/repo@v1.0/sub/1M.pt")
    assert (link.repository, link.revision) == ("owner/repo", "v1.0")
    assert file_name(link) == "1M.pt"
    assert read_link("hf://owner/repo/1M.pt").revision is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1M.pt",
        "ftp://host/1M.pt",
        "https:///1M.pt",
        "file://host/1M.pt",
        "hf://owner/repo",
        "hf:///repo/1M.pt",
        "javascript:alert(1)",
        "https://[::1/1M.pt",
    ],
)
def test_what_is_no_link_is_refused_with_what_one_is(text: str) -> None:
    with pytest.raises(FetchError, match=r"a link is https://\.\.\., http://"):
        read_link(text)


def test_a_family_without_a_link_says_what_to_do(released: Released) -> None:
    released.link("")
    with pytest.raises(FetchError, match="has no link in its release"):
        released.fetch()


def test_a_copy_that_does_not_fit_leaves_nothing_behind(
    released: Released, tmp_path: Path
) -> None:
    file = tmp_path / "1M.pt"
    file.write_bytes(weights(1))
    released.files({"1M.pt": file.as_uri()})
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (file.stat().st_size // 2, limits[1]))
    try:
        with pytest.raises(FetchError, match="name another folder"):
            released.fetch()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert list(tmp_path.rglob("1M.pt")) == [file]
    released.fetch()
    assert len(list(tmp_path.rglob("1M.pt"))) == 2


# Single files ----------------------------------------------------------------------


def test_each_file_can_have_a_link_of_its_own(host: Host, released: Released) -> None:
    released.files(
        {
            "1M.pt": host.share("/download", weights(1)),
            "4M.pt": host.share("/b", weights(2)),
        }
    )
    assert released.fetch(only="4M").files == ("4M.pt",)
    assert released.installed() == {"4M.pt": weights(2)}
    released.fetch()
    assert released.installed() == {"1M.pt": weights(1), "4M.pt": weights(2)}
    assert len(host.asked("/b")) == 2


def test_a_direct_link_takes_the_name_that_the_host_gives(
    host: Host, released: Released
) -> None:
    released.link(host.share("/download/5", weights(1), name="16M.pt"))
    released.fetch()
    assert set(released.installed()) == {"16M.pt"}


def test_a_name_with_a_path_in_it_is_only_a_name(
    host: Host, released: Released
) -> None:
    released.link(host.share("/download/5", weights(1), name="../../16M.pt"))
    released.fetch()
    assert set(released.installed()) == {"16M.pt"}


def test_a_file_without_a_name_says_how_to_give_one(
    host: Host, released: Released
) -> None:
    released.link(host.share("/download", b"\x80\x02}."))
    with pytest.raises(FetchError, match=r'files = \{ "NAME.pt" = \.\.\. \}'):
        released.fetch()


def test_a_redirect_from_https_to_http_is_refused() -> None:
    import httpx

    from repro.fetching.transfer import check_redirects

    first = httpx.Response(302, request=httpx.Request("GET", "https://a/1M.pt"))
    last = httpx.Response(
        200, request=httpx.Request("GET", "http://b/1M.pt"), history=[first]
    )
    with pytest.raises(FetchError, match="to the host b without encryption"):
        check_redirects(last)


def test_redirects_without_end_are_one_clear_error(
    host: Host, released: Released
) -> None:
    def around(answer: Answer) -> None:
        answer.reply(302, b"", {"Location": "/1M.pt"})

    released.link(host.share("/1M.pt", b"", faults=[around] * 50))
    with pytest.raises(FetchError, match="redirects"):
        released.fetch()


# Disks -----------------------------------------------------------------------------


def test_a_folder_on_disk_is_copied(tmp_path: Path, released: Released) -> None:
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    (mirror / "1M.pt").write_bytes(weights(1))
    (mirror / "1M (copy).pt").write_bytes(weights(1))
    (mirror / "notes.txt").write_text("notes")
    released.link(mirror.as_uri())
    fetched = released.fetch()
    assert released.installed() == {"1M.pt": weights(1)}
    assert fetched.left_out == ("1M (copy).pt", "notes.txt")
    assert (mirror / "1M.pt").read_bytes() == weights(1)


def test_a_zip_on_disk_is_unpacked(tmp_path: Path, released: Released) -> None:
    (tmp_path / "real.zip").write_bytes(zipped({"1M.pt": weights(1)}))
    released.link((tmp_path / "real.zip").as_uri())
    released.fetch()
    assert released.installed() == {"1M.pt": weights(1)}


def test_a_file_on_disk_is_copied(tmp_path: Path, released: Released) -> None:
    (tmp_path / "1M.pt").write_bytes(weights(1))
    released.link((tmp_path / "1M.pt").as_uri())
    released.fetch()
    assert released.installed() == {"1M.pt": weights(1)}


def test_a_damaged_file_on_disk_is_copied_once(
    tmp_path: Path, released: Released
) -> None:
    (tmp_path / "1M.pt").write_bytes(b"")
    released.link((tmp_path / "1M.pt").as_uri())
    with pytest.raises(FetchError, match=r"1M\.pt of 0 bytes: .*Mend the file, or"):
        released.fetch()
    assert not released.progress.said
    assert not released.installed()


def test_an_onnx_model_is_kept_and_the_file_of_its_values_named(
    tmp_path: Path, released: Released
) -> None:
    onnx = pytest.importorskip("onnx")
    value = onnx.TensorProto(
        name="w", data_type=1, dims=[1], data_location=onnx.TensorProto.EXTERNAL
    )
    value.external_data.add(key="location", value="1M.onnx.data")
    graph = onnx.GraphProto(
        name="one",
        node=[onnx.NodeProto(op_type="Identity", input=["w"], output=["y"])],
        initializer=[value],
    )
    model = onnx.ModelProto(ir_version=8, graph=graph, producer_name="a test")
    model.opset_import.add(domain="", version=17)
    content = model.SerializeToString()
    (tmp_path / "1M.onnx").write_bytes(content)
    released.link((tmp_path / "1M.onnx").as_uri())
    released.fetch()
    assert released.installed() == {"1M.onnx": content}
    (said,) = released.progress.said
    assert said.startswith("1M.onnx keeps values in 1M.onnx.data, which is not beside")


def test_a_path_that_does_not_exist_is_one_clear_error(released: Released) -> None:
    released.link("file:///nowhere/1M.pt")
    with pytest.raises(FetchError, match=r"/nowhere/1M\.pt does not exist"):
        released.fetch()


# A hub -----------------------------------------------------------------------------


def fetch_from_hub(host: Host, released: Released) -> subprocess.CompletedProcess[str]:
    home = str(released.folder.parent / "hf")
    arguments = ["--expected", str(released.folder)]
    arguments += ["--checkpoints", str(released.checkpoints)]
    return subprocess.run(
        [
            sys.executable,
            "-c",
            "from repro.cli import main; main()",
            "fetch",
            *arguments,
        ],
        env=os.environ | {"HF_ENDPOINT": host.url, "HF_HOME": home},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_a_file_of_a_hub_is_fetched(host: Host, released: Released) -> None:
    host.answer_with(HubAnswer)
    host.share("/owner/repo/resolve/v1/sub/1M.pt", weights(1))
    released.link("hf://owner/repo@v1/sub/1M.pt")
    finished = fetch_from_hub(host, released)
    assert f"{FAMILY}: fetched 1M.pt" in finished.stdout, finished.stderr
    assert released.installed() == {"1M.pt": weights(1)}


def test_a_file_that_a_hub_does_not_have_is_one_clear_error(
    host: Host, released: Released
) -> None:
    host.answer_with(HubAnswer)
    released.link("hf://owner/repo/4M.pt")
    finished = fetch_from_hub(host, released)
    assert finished.returncode == 1
    assert "hf://owner/repo/4M.pt cannot be fetched: 404 Client" in finished.stderr
    assert "Traceback" not in finished.stdout + finished.stderr
    assert released.installed() == {}
