"""The page in a real browser: it works, it fits, and it is fit to be seen."""

from __future__ import annotations

import base64
import importlib.resources
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from repro.judgement.verdict import Verdict
from repro.report.faces import write_report
from repro.report.report import Report, report_of_results

from ..made_results import result

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")

pytestmark = pytest.mark.skipif(
    not (CHROMIUM and DRIVER),
    reason="no chromium and chromedriver here (Debian: chromium, chromium-driver)",
)

OPTIONS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--hide-scrollbars",
)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    webdriver = pytest.importorskip("selenium.webdriver", reason="no selenium here")
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for option in (*OPTIONS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(option)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    service = webdriver.ChromeService(DRIVER)
    driver = webdriver.Chrome(options=options, service=service)
    # Nothing may be asked for that is not in the file.
    driver.execute_cdp_cmd("Network.enable", {})
    driver.execute_cdp_cmd("Network.setBlockedURLs", {"urls": ["http*://*"]})
    yield driver
    driver.quit()


@pytest.fixture
def page(browser: Any, report: Report, tmp_path: Path) -> Any:
    write_report(tmp_path / "report.html", report)
    show(browser, tmp_path / "report.html", 1600, "light")
    return browser


def show(browser: Any, file: Path, width: int, theme: str) -> None:
    """Open a file at a width in CSS pixels, in light or dark."""
    media = {"features": [{"name": "prefers-color-scheme", "value": theme}]}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    browser.get(file.as_uri())


def column(page: Any, number: int) -> list[str]:
    """Read the visible cells of a column of the table."""
    texts: list[str] = page.execute_script(
        "return [...document.querySelectorAll('#rows tbody tr')]"
        f".filter(r => !r.hidden).map(r => r.cells[{number}].textContent.trim())"
    )
    return texts


def press(page: Any, title: str) -> None:
    for button in page.find_elements("css selector", "#rows th button"):
        if button.text == title:
            button.click()
            return
    raise LookupError(title)


def show_all(page: Any) -> None:
    page.find_element("id", "attention").click()


def measured(page: Any) -> list[str]:
    """Read what was measured of top-1 in the visible rows, where anything was."""
    texts: list[str] = page.execute_script(
        "return [...document.querySelectorAll('#rows tbody tr')].filter(r => !r.hidden)"
        ".map(r => r.cells[2].querySelector('.m')?.textContent ?? '')"
    )
    return texts


def test_what_needs_attention_is_all_that_is_shown_until_one_asks_for_more(
    page: Any,
) -> None:
    verdicts = {text.split(maxsplit=1)[-1] for text in column(page, 5)}
    assert verdicts == {"below", "above"}
    show_all(page)
    assert len(column(page, 0)) == 9


def test_a_click_on_a_header_sorts_by_number_and_another_turns_it_round(
    page: Any,
) -> None:
    show_all(page)
    press(page, "top1")
    rising = [float(text) for text in measured(page) if text]
    assert rising == sorted(rising)
    press(page, "top1")
    falling = [float(text) for text in measured(page) if text]
    assert falling == rising[::-1]
    sorted_by = page.find_elements("css selector", "th[aria-sort=descending]")
    assert [header.text for header in sorted_by] == ["top1"]


def test_the_case_column_goes_back_to_the_order_of_the_report(page: Any) -> None:
    show_all(page)
    before = column(page, 0)
    press(page, "top1")
    assert column(page, 0) != before
    press(page, "case")
    assert column(page, 0) == before


def test_a_page_of_one_red_case_speaks_of_one_and_of_no_others(
    browser: Any, tmp_path: Path
) -> None:
    one = report_of_results([result("1M", Verdict.BELOW)])
    write_report(tmp_path / "one.html", one)
    show(browser, tmp_path / "one.html", 1600, "light")
    assert browser.find_element("id", "shown").text == "1 case"
    assert not browser.find_elements("css selector", "#cases, [href='#cases']")


def test_words_of_case_and_dataset_and_verdicts_filter_the_rows(page: Any) -> None:
    show_all(page)
    everything = len(column(page, 0))
    page.find_element("id", "find").send_keys("clip 64m IMAGENET-VAL")
    assert [text.split()[0] for text in column(page, 0)] == ["clip/synthetic+real/64M"]
    assert page.find_element("id", "shown").text == f"1 of {everything} cases"
    page.find_element("id", "find").clear()
    page.find_element("id", "find").send_keys(" ")
    page.find_element("css selector", "#verdict option:nth-child(3)").click()
    assert {text.split()[-1] for text in column(page, 5)} == {"below"}


@pytest.mark.parametrize("from_where", ["#rows a", ".point[data-case]"])
def test_a_row_and_a_point_of_a_curve_lead_to_their_case(
    page: Any, from_where: str
) -> None:
    show_all(page)
    page.execute_script(
        "document.querySelectorAll('.case').forEach(c => c.open = false);"
        f"document.querySelector('{from_where}')"
        ".dispatchEvent(new MouseEvent('click', {bubbles: true, cancelable: true}))"
    )
    page.execute_async_script("setTimeout(arguments[0], 50)")
    opened = page.execute_script(
        "return [...document.querySelectorAll('.case[open]')].map(c => c.id)"
    )
    assert opened == ["case-supervised/real/1M@plain"]


def test_the_answer_comes_first_and_what_is_red_before_the_table(page: Any) -> None:
    places = [
        page.find_element("css selector", place).rect["y"]
        for place in ("h1", ".answer", "#scaling", "#red", "#numbers", "#cases")
    ]
    assert places == sorted(places)
    below = page.find_element("id", "red").rect["y"]
    assert all(
        case.rect["y"] > below
        for case in page.find_elements("css selector", ".case.bad")
    )


@pytest.mark.parametrize(("number", "most"), [(30, 2), (400, 20)])
def test_green_cases_are_few_pages_of_paper(
    browser: Any, tmp_path: Path, number: int, most: int
) -> None:
    sizes = [
        result(f"{n}M", family=f"family-{n // 30}", position=(n // 30, n))
        for n in range(1, number + 1)
    ]
    write_report(tmp_path / "green.html", report_of_results(sizes))
    show(browser, tmp_path / "green.html", 1000, "light")
    pdf = browser.execute_cdp_cmd("Page.printToPDF", {"printBackground": True})
    pages = base64.b64decode(pdf["data"]).count(b"/Type /Page\n")
    assert 1 <= pages <= most


def test_a_table_of_long_names_is_no_wider_than_a_sheet(
    browser: Any, tmp_path: Path
) -> None:
    name = "vit_large_patch14_dinov2_reg4_siglip_{}.sw_merged_laion2b_ft_in12k_in1k"
    long = [result(name.format(n), position=(0, n)) for n in range(1, 31)]
    write_report(tmp_path / "long.html", report_of_results(long))
    show(browser, tmp_path / "long.html", 718, "light")
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    try:
        assert browser.execute_script(_REACH) == 718
    finally:
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})


def test_axe_finds_nothing_to_complain_of(page: Any) -> None:
    axe = importlib.resources.files("axe_core_python") / "axe.min.js"
    page.execute_script("document.querySelectorAll('details').forEach(d => d.open = 1)")
    page.execute_script(axe.read_text(encoding="utf-8"))
    found = page.execute_async_script(
        "const done = arguments[0]; axe.run().then(r => done(r.violations.map("
        "v => [v.id, v.nodes.map(n => n.html.slice(0, 90))])))"
    )
    assert found == []


@pytest.fixture
def many_red(browser: Any, tmp_path: Path) -> Any:
    """A page of 400 cases in 20 families, of which 100 are red."""
    found = [
        result(
            f"{n}M",
            Verdict.REPRODUCED if n % 4 else Verdict.BELOW,
            difference=0.0 if n % 4 else -0.31,
            family=f"family-{n % 20}",
            position=(n % 20, n),
        )
        for n in range(1, 401)
    ]
    write_report(tmp_path / "red.html", report_of_results(found))
    assert (tmp_path / "red.html").stat().st_size < 2**20
    return browser


@pytest.mark.parametrize("width", [400, 1000, 1600])
def test_what_is_red_is_near_the_top_however_many_cases_there_are(
    many_red: Any, tmp_path: Path, width: int
) -> None:
    show(many_red, tmp_path / "red.html", width, "light")
    assert many_red.execute_script(_REACH) == width
    assert many_red.execute_script(_STOPS_BEFORE, "#scaling") < 10
    first = many_red.find_element("css selector", ".case.bad").rect["y"]
    table = many_red.find_element("id", "numbers").rect["y"]
    assert first < (3000 if width == 400 else 1600)
    assert table < first + (10_000 if width == 400 else 6000)
    rows = [text for text in column(many_red, 0) if text]
    assert len(rows) == 100


def test_a_red_case_among_many_is_opened_with_what_it_is_folded_into(
    many_red: Any, tmp_path: Path
) -> None:
    show(many_red, tmp_path / "red.html", 1000, "light")
    *_, last = many_red.find_elements("css selector", ".case.bad")
    assert not last.is_displayed()
    name = last.get_attribute("id")
    many_red.execute_script("location.hash = arguments[0]", name)
    many_red.execute_async_script("setTimeout(arguments[0], 50)")
    assert last.is_displayed()
    assert last.get_attribute("open")


#: As GitHub lays out a summary, as far as widths go.
_GITHUB = """<style>
body { margin: 16px; font: 16px/1.5 sans-serif; word-wrap: break-word; }
table { display: block; width: max-content; max-width: 100%; overflow: auto; }
td, th { padding: 6px 13px; border: 1px solid; }
code { padding: 0.2em 0.4em; font-size: 85%; white-space: break-spaces; }
pre { overflow: auto; } pre code { white-space: pre; }
</style>"""


def test_the_job_summary_fits_a_phone(
    browser: Any, report: Report, tmp_path: Path
) -> None:
    markdown_it = pytest.importorskip("markdown_it", reason="no markdown-it-py here")
    write_report(tmp_path / "report.md", report)
    parser = markdown_it.MarkdownIt("commonmark").enable("table")
    shown = parser.render((tmp_path / "report.md").read_text("utf-8"))
    (tmp_path / "summary.html").write_text(
        f"<!doctype html><meta charset=utf-8>{_GITHUB}{shown}", encoding="utf-8"
    )
    show(browser, tmp_path / "summary.html", 390, "light")
    assert browser.execute_script(_REACH) == 390
    table = browser.find_element("css selector", "table")
    assert table.get_property("scrollWidth") == table.get_property("clientWidth")
    # The rest is folded, and what is wrong stands on the first screens.
    assert not browser.find_element("css selector", "details table").is_displayed()
    assert table.rect["y"] < 2 * 900


_OPEN_ALL = "document.querySelectorAll('.case').forEach(one => one.open = true)"
_REACH = "return document.documentElement.scrollWidth"

# How often somebody presses Tab before a heading.
_STOPS_BEFORE = """
const place = document.querySelector(arguments[0]);
return [...document.querySelectorAll("a[href], button, input, select, summary")]
  .filter((one) => one.compareDocumentPosition(place) & 4).length;
"""


# Rows of which the cells are laid out; those beyond the screen are not.
_LAID_OUT = """
return [...document.querySelectorAll("#rows tbody tr")].filter(
  (row) => row.cells[0].checkVisibility({contentVisibilityAuto: true})).length;
"""


def test_cells_of_a_narrow_page_say_of_which_column_they_are(
    page: Any, tmp_path: Path
) -> None:
    show(page, tmp_path / "report.html", 400, "light")
    said = page.execute_script(
        "return [...document.querySelector('#rows tbody tr').cells]"
        ".map((cell) => getComputedStyle(cell, '::before').content)"
    )
    assert said == ["none", '"dataset"', '"top1"', '"top5"', '"loss"', "none"]


@pytest.mark.slow
def test_pages_of_400_and_1800_cases_are_light_and_open_soon(
    browser: Any, tmp_path: Path
) -> None:
    for number, most in ((400, 2**20), (1800, 5 * 2**20)):
        many = [
            result(f"{n}M", family=f"family-{n % 20}", position=(n % 20, n))
            for n in range(1, number + 1)
        ]
        write_report(tmp_path / "many.html", report_of_results(many))
        assert (tmp_path / "many.html").stat().st_size < most
        for width in (400, 961, 1600):
            show(browser, tmp_path / "many.html", width, "light")
            assert len(column(browser, 0)) == number
            whole = "return document.documentElement.scrollWidth"
            assert browser.execute_script(whole) == width
            assert browser.execute_script(_LAID_OUT) < 60
            # The cells of a row that is laid out end where the next ones begin.
            browser.find_element("id", "rows").location_once_scrolled_into_view  # noqa: B018
            assert browser.execute_script(_OVERLAPPING) == []


@pytest.mark.parametrize("width", [961, 1000, 1160, 1600])
def test_no_word_of_a_case_is_broken(page: Any, tmp_path: Path, width: int) -> None:
    show(page, tmp_path / "report.html", width, "light")
    broken = page.execute_script(_BROKEN)
    assert broken == []


@pytest.mark.parametrize("width", [400, 1000, 1600])
def test_long_names_are_broken_between_their_words(
    browser: Any, tmp_path: Path, width: int
) -> None:
    found = [
        result(
            f"vit_large_patch14_dinov2_reg4_siglip_{n}.sw_merged_laion2b_ft_in12k_in1k",
            Verdict.BELOW if n % 10 == 0 else Verdict.REPRODUCED,
            difference=-0.31 if n % 10 == 0 else 0.0,
            family=f"timm/a_family_of_vision_transformers_{n % 20}",
            position=(n % 20, n),
        )
        for n in range(1, 61)
    ]
    write_report(tmp_path / "long.html", report_of_results(found))
    show(browser, tmp_path / "long.html", width, "light")
    show_all(browser)
    browser.execute_script(
        "document.querySelectorAll('.case').forEach(d => d.open = 1)"
    )
    assert browser.execute_script(_REACH) == width
    assert browser.execute_script(_BROKEN) == []
    # What twenty families are called is folded, and does not hide what is red.
    legends = browser.find_elements("css selector", "figure .legend")
    assert legends
    assert not any(legend.is_displayed() for legend in legends)


# Cells of the first rows whose text goes on below the next one.
_OVERLAPPING = """
return [...document.querySelectorAll("#rows tbody tr")].slice(0, 5)
  .flatMap((row) => [...row.cells])
  .filter((cell) => cell.scrollWidth > cell.clientWidth + 1)
  .map((cell) => cell.textContent);
"""

# Words of which a part stands in another line than the rest.
_BROKEN = """
const found = [];
for (const cell of document.querySelectorAll("#rows td:first-child, .answer")) {
  const walker = document.createTreeWalker(cell, NodeFilter.SHOW_TEXT);
  for (let text; (text = walker.nextNode());) {
    for (const word of text.data.matchAll(/[a-z0-9]+/gi)) {
      const range = document.createRange();
      range.setStart(text, word.index);
      range.setEnd(text, word.index + word[0].length);
      if (range.getClientRects().length > 1) found.push(word[0]);
    }
  }
}
return found;
"""


def beyond(page: Any) -> list[str]:
    """List what reaches beyond the right edge of the page."""
    found: list[str] = page.execute_script(
        "return [...document.querySelectorAll('body *')].filter(e => "
        "e.getBoundingClientRect().right > innerWidth + 0.5)"
        ".map(e => e.outerHTML.slice(0, 80))"
    )
    return found


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 961, 1160, 1600])
def test_nothing_overflows_and_nothing_goes_wrong(
    page: Any, report: Report, tmp_path: Path, theme: str, width: int
) -> None:
    show(page, tmp_path / "report.html", width, theme)
    page.execute_script("document.querySelectorAll('details').forEach(d => d.open = 1)")
    assert beyond(page) == []
    assert page.execute_script("return document.documentElement.scrollWidth") == width
    assert page.get_log("browser") == []


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_and_marks_can_be_told_from_what_they_stand_on(
    page: Any, tmp_path: Path, theme: str
) -> None:
    show(page, tmp_path / "report.html", 1600, theme)
    ratios = page.execute_script(_CONTRASTS)
    assert len(ratios) > 10
    weak = {name: ratio for name, ratio in ratios.items() if ratio < limit_of(name)}
    assert weak == {}


def limit_of(name: str) -> float:
    """Give the contrast that WCAG 2.2 asks of text (AA) or of graphics."""
    return 3.0 if name.startswith("--series") else 4.5


_CONTRASTS = """
const style = getComputedStyle(document.documentElement);
const probe = document.body.appendChild(document.createElement("i"));
const luminance = (name) => {
  probe.style.color = `var(${name})`;
  const parts = getComputedStyle(probe).color.match(/[\\d.]+/g).slice(0, 3).map(Number);
  const [r, g, b] = parts.map((v) => v / 255)
    .map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const ratio = (a, b) => {
  const [high, low] = [luminance(a), luminance(b)].sort((x, y) => y - x);
  return (high + 0.05) / (low + 0.05);
};
const found = {};
for (const name of ["--ink", "--dim", "--accent"]) {
  for (const ground of ["--paper", "--raised"]) {
    found[`${name} on ${ground}`] = ratio(name, ground);
  }
}
for (const tone of ["good", "bad", "odd"]) {
  found[tone] = ratio(`--${tone}`, `--${tone}-tint`);
}
for (let n = 1; n <= 8; n++) {
  found[`--series-${n}`] = ratio(`--series-${n}`, "--raised");
}
probe.remove();
return found;
"""


@pytest.mark.slow
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1600])
def test_the_report_of_the_embedded_release_can_be_photographed(
    browser: Any, embedded_run: Path, theme: str, width: int
) -> None:
    """Make the screenshots that somebody looks at; they stay in pytest's folder."""
    show(browser, embedded_run / "report.html", width, theme)
    height = browser.execute_script("return document.documentElement.scrollHeight")
    clip = {"x": 0, "y": 0, "width": width, "height": height, "scale": 1}
    options = {"captureBeyondViewport": True, "clip": clip}
    shot = browser.execute_cdp_cmd("Page.captureScreenshot", options)
    file = embedded_run / f"report-{theme}-{width}.png"
    file.write_bytes(base64.b64decode(shot["data"]))

    from PIL import Image

    with Image.open(file) as image:
        assert image.size == (width, height)
        grey = image.convert("L")
    corner = grey.tobytes()[0]
    assert grey.getextrema() != (corner, corner)
    assert (corner > 128) == (theme == "light")
