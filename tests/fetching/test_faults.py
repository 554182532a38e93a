"""Every fault of a host ends in the right bytes or in one clear error."""

from __future__ import annotations

import email.utils
import time
from collections.abc import Callable

import pytest

from repro import fetching
from repro.errors import FetchError
from repro.fetching.transfer import Patience

from .host import Answer, Host, cut_at, drip, page, silence, status
from .released import FAMILY, HURRIED, Released, weights, zipped

BYTES = {"1M.pt": weights(1), "4M.pt": weights(2)}
FOLDER = {"/": b"", **BYTES, "README.txt": b"read me"}
SHARE = "/scl/fo/abc/h"
TARGET = "/cd/fo/abc/h"


def fault(released: Released, patience: Patience = HURRIED) -> str:
    """Fetch what cannot be fetched; return the error, and see that nothing is left."""
    with pytest.raises(FetchError) as caught:
        released.fetch(patience=patience)
    assert "\n" not in str(caught.value)
    assert released.installed() == {}
    assert released.checksums() == {}
    return str(caught.value)


def test_a_share_link_brings_the_weights_of_the_folder(
    host: Host, released: Released
) -> None:
    released.link(host.share_folder(SHARE, zipped(FOLDER)))
    fetched = released.fetch()
    assert released.installed() == BYTES
    assert sorted(fetched.files) == ["1M.pt", "4M.pt"]
    assert fetched.left_out == ("README.txt",)
    assert released.progress.bytes > 2 * sum(map(len, BYTES.values()))


def test_a_second_fetch_asks_for_nothing(host: Host, released: Released) -> None:
    released.link(host.share_folder(SHARE, zipped(FOLDER)))
    released.fetch()
    asked = len(host.requests)
    assert released.fetch().was_here
    assert len(host.requests) == asked


def test_a_file_that_was_removed_is_fetched_again(
    host: Host, released: Released
) -> None:
    released.link(host.share_folder(SHARE, zipped(FOLDER)))
    released.fetch()
    (released.checkpoints / FAMILY / "1M.pt").unlink()
    assert not released.fetch().was_here
    assert released.installed() == BYTES


@pytest.mark.parametrize(
    "trouble",
    [
        [cut_at(0.7)],
        [cut_at(0.7), cut_at(0.1)],
        [cut_at(0.0)],
        [status(429, "0")],
        [status(503)],
        [status(500), status(502), status(504)],
        [Answer.cut_connection],
    ],
    ids=["70 %", "twice", "0 %", "429", "503", "5xx", "hung up"],
)
@pytest.mark.parametrize("length", [True, False], ids=["length", "chunked"])
def test_a_passing_fault_ends_in_the_right_bytes(
    host: Host,
    released: Released,
    trouble: list[Callable[[Answer], None]],
    length: bool,
) -> None:
    link = host.share_folder(SHARE, zipped(FOLDER), faults=list(trouble), length=length)
    released.link(link)
    released.fetch()
    assert released.installed() == BYTES
    assert len(host.asked(TARGET)) == len(trouble) + 1
    assert len(released.progress.said) == len(trouble)


@pytest.mark.parametrize(
    ("trouble", "message"),
    [
        (cut_at(0.7), "failed 4 times, at last: the connection broke"),
        (status(503), "failed 4 times, at last: the host answers HTTP 503"),
        (status(429), "failed 4 times, at last: the host answers HTTP 429"),
        (status(404), "answers HTTP 404 Not Found; the link may have expired"),
        (status(403), "answers HTTP 403 Forbidden; the link may have expired"),
        (page, "answers a web page ('Link expired') in place of a file"),
        (status(429, "7200"), "asks to come back in 120 minutes"),
    ],
)
def test_a_lasting_fault_ends_in_one_clear_error(
    host: Host,
    released: Released,
    trouble: Callable[[Answer], None],
    message: str,
) -> None:
    released.link(host.share_folder(SHARE, zipped(FOLDER), faults=[trouble] * 20))
    assert message in fault(released)
    assert len(host.asked(TARGET)) <= HURRIED.attempts


def test_after_a_lasting_fault_the_next_fetch_succeeds(
    host: Host, released: Released
) -> None:
    released.link(host.share_folder(SHARE, zipped(FOLDER), faults=[cut_at(0.7)] * 4))
    fault(released)
    released.fetch()
    assert released.installed() == BYTES


def test_a_host_that_is_not_there_is_one_clear_error(released: Released) -> None:
    # The discard port of this machine: nobody listens.
    released.link("http://127.0.0.1:9/folder.zip")
    assert "failed 4 times, at last: the connection broke" in fault(released)


def test_without_a_network_it_is_said_at_once_how_to_get_the_files_by_hand(
    released: Released,
) -> None:
    # No name below .invalid is ever found (RFC 6761), with a network or without.
    link = "https://weights.invalid/folder.zip"
    released.link(link)
    said = fault(released, Patience(attempts=6, wait=60.0))
    assert said == (
        "there is no network here: weights.invalid cannot be looked up. Open "
        f"{link} in a browser elsewhere, and put the weights files in it into "
        f"{released.checkpoints / FAMILY}"
    )
    released.files({"1M.pt": link})
    assert fault(released).endswith(
        f"and put its file as {released.checkpoints / FAMILY / '1M.pt'}"
    )


def test_a_slow_host_is_waited_for_while_it_says_something(
    host: Host, released: Released
) -> None:
    released.link(host.share_folder(SHARE, zipped(FOLDER), pause=0.08, pieces=12))
    started = time.monotonic()
    released.fetch(patience=Patience(wait=0.01, silence=0.7, slowest=1.0))
    assert time.monotonic() - started > 0.7
    assert released.installed() == BYTES
    assert len(host.asked(TARGET)) == 1


def test_a_host_that_sends_a_byte_now_and_then_is_given_up(
    host: Host, released: Released
) -> None:
    zip_ = zipped(FOLDER)
    released.link(host.share_folder(SHARE, zip_, pause=0.05, pieces=len(zip_)))
    said = fault(released, Patience(attempts=2, wait=0.01, silence=0.3))
    assert "failed 2 times, at last: " in said
    assert " bytes came in 0 s. Try again later" in said


def test_a_host_that_answers_byte_by_byte_is_given_up(
    host: Host, released: Released
) -> None:
    released.link(host.share_folder(SHARE, zipped(FOLDER), faults=[drip] * 2))
    started = time.monotonic()
    said = fault(released, Patience(attempts=2, wait=0.01, silence=0.3))
    assert time.monotonic() - started < 10
    assert "failed 2 times, at last: the connection broke (no whole answer" in said


def test_a_host_that_answers_byte_by_byte_is_asked_again(
    host: Host, released: Released
) -> None:
    released.link(host.share_folder(SHARE, zipped(FOLDER), faults=[drip]))
    released.fetch(patience=Patience(wait=0.01, silence=0.3))
    assert released.installed() == BYTES


def test_a_silent_host_is_asked_again(host: Host, released: Released) -> None:
    released.link(host.share_folder(SHARE, zipped(FOLDER), faults=[silence]))
    released.fetch(patience=Patience(wait=0.01, silence=0.5))
    assert released.installed() == BYTES
    assert released.progress.said[0].startswith("the host is silent; trying again")


def test_a_host_that_says_for_how_long_is_not_asked_before(
    host: Host, released: Released
) -> None:
    link = host.share_folder(SHARE, zipped(FOLDER), faults=[status(429, "1")])
    released.link(link)
    started = time.monotonic()
    released.fetch()
    assert time.monotonic() - started > 0.9


def test_a_host_that_says_until_when_is_not_asked_before(
    host: Host, released: Released, monkeypatch: pytest.MonkeyPatch
) -> None:
    date = email.utils.formatdate(time.time() + 60, usegmt=True)
    faults = [status(503, date)]
    released.link(host.share_folder(SHARE, zipped(FOLDER), faults=faults))
    waits: list[float] = []
    monkeypatch.setattr(time, "sleep", waits.append)
    released.fetch()
    (wait,) = waits
    assert 30 < wait <= 60
    assert released.installed() == BYTES


# Damage ----------------------------------------------------------------------------


def wrong_crc(archive: bytes) -> bytes:
    """Change one byte of the content of the first weights file."""
    place = archive.index(BYTES["1M.pt"]) + 100_000
    return archive[:place] + bytes([archive[place] ^ 1]) + archive[place + 1 :]


def test_a_zip_with_a_wrong_crc_is_fetched_again(
    host: Host, released: Released
) -> None:
    good = zipped(FOLDER)
    link = host.share_folder(SHARE, wrong_crc(good))

    def damaged_once(answer: Answer) -> None:
        answer.give()
        host.shared[TARGET].content = good

    host.shared[TARGET].faults = [damaged_once]
    released.link(link)
    released.fetch()
    assert released.installed() == BYTES
    assert "Bad CRC-32 for file '1M.pt'" in released.progress.said[0]


def test_a_zip_whose_crc_stays_wrong_is_one_clear_error(
    host: Host, released: Released
) -> None:
    released.link(host.share_folder(SHARE, wrong_crc(zipped(FOLDER))))
    message = fault(released)
    assert "Bad CRC-32 for file '1M.pt'" in message
    assert "fetched 2 times and thrown away" in message


def test_a_zip_that_ends_early_without_anybody_noticing_is_damaged(
    host: Host, released: Released
) -> None:
    whole = zipped(FOLDER)
    released.link(host.share_folder(SHARE, whole[: len(whole) * 7 // 10]))
    assert "is damaged: File is not a zip file" in fault(released)


def test_a_zip_that_ends_after_a_whole_weights_file_is_damaged(
    host: Host, released: Released
) -> None:
    """Weights are zips too, so the end of the last of them looks like that of a zip."""
    whole = zipped(FOLDER)
    # The end of a zip's directory has 22 bytes.
    end = whole.rindex(b"PK\5\6", 0, whole.rindex(b"PK\5\6")) + 22
    released.link(host.share_folder(SHARE, whole[:end]))
    assert "is damaged: its directory knows no file before byte" in fault(released)


@pytest.mark.parametrize("name", ["1M.pt", "1M.safetensors", "1M.pth"])
def test_a_single_file_that_is_cut_off_is_damaged(
    host: Host, released: Released, name: str
) -> None:
    cut = weights(1)[:-5000]
    if name.endswith("safetensors"):
        cut = (20).to_bytes(8, "little") + b'{"a":{"data_offsets":[0,9]}}'
    released.files({name: host.share("/file", cut, length=False)})
    message = fault(released)
    assert f"brought a damaged {name} of {len(cut):,} bytes" in message
    assert str(released.checkpoints) not in message


def test_a_folder_without_weights_is_one_clear_error(
    host: Host, released: Released
) -> None:
    released.link(host.share_folder(SHARE, zipped({"sub/1M.pt": b"", "a.txt": b""})))
    message = fault(released)
    assert "without weights files at its top; it holds sub/1M.pt, a.txt" in message


def test_a_link_to_something_else_is_one_clear_error(
    host: Host, released: Released
) -> None:
    released.link(host.share("/notes.txt", b"notes"))
    assert "a weights file ends with one of .pt" in fault(released)


# Places ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("in_the_way", "named"),
    [
        ("", ""),
        ("supervised", "supervised/real"),
        (".repro-fetch", ".repro-fetch/supervised%2Freal"),
    ],
)
def test_a_file_in_place_of_a_folder_is_named(
    host: Host, released: Released, in_the_way: str, named: str
) -> None:
    place = released.checkpoints / in_the_way
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text("in the way")
    released.link(host.share_folder(SHARE, zipped(FOLDER)))
    with pytest.raises(FetchError) as caught:
        released.fetch()
    message = str(caught.value)
    assert message.startswith(f"{released.checkpoints / named}")
    assert message.endswith("; mend that or name another folder for the checkpoints")
    assert place.read_text() == "in the way"


def test_a_folder_in_place_of_a_weights_file_is_named(
    host: Host, released: Released
) -> None:
    place = released.checkpoints / "supervised/real/1M.pt"
    place.mkdir(parents=True)
    released.link(host.share_folder(SHARE, zipped(FOLDER)))
    with pytest.raises(FetchError, match=r"1M\.pt cannot be used \(Is a directory\)"):
        released.fetch()


# Space -----------------------------------------------------------------------------


@pytest.mark.parametrize("length", [True, False])
def test_a_download_that_does_not_fit_is_not_begun(
    host: Host,
    released: Released,
    monkeypatch: pytest.MonkeyPatch,
    length: bool,
) -> None:
    released.link(host.share_folder(SHARE, zipped(FOLDER), length=length))
    monkeypatch.setattr(
        fetching, "free_bytes", lambda folder: fetching.RESERVE + 300_000
    )
    message = fault(released)
    assert "268.7 MB free" in message
    assert "free some space or name another folder" in message
    assert ("the download of" in message) == length


def test_a_download_without_a_length_stops_before_the_disk_is_full(
    host: Host, released: Released, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("repro.fetching.transfer.LOOK_AGAIN", 50_000)
    monkeypatch.setattr(
        fetching, "free_bytes", lambda folder: fetching.RESERVE + 20_000
    )
    released.link(host.share_folder(SHARE, zipped(FOLDER), length=False))
    assert "the download of" in fault(released)
