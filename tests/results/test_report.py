"""The report in a real browser, from a file, without a network."""

import html
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser

import pytest

from results.__main__ import main
from results.printed import MARGIN
from results.tables.claims import claims_table
from tests.results.test_results import write_evaluation, write_run

BROWSER = shutil.which("chromium") or shutil.which("google-chrome")

# What a reader does: sorts each table by its last column, twice; then the page says what it saw.
ACTIONS = """
<script>
const seen = {tables: [], images: [], wide: document.documentElement.scrollWidth};
for (const table of document.querySelectorAll("table")) {
  const heads = [...table.tHead.rows[0].cells], column = heads.length - 1;
  const cells = () => [...table.tBodies[0].rows].map(row => row.cells[column].textContent);
  const before = cells();
  heads[column].querySelector("button").click();
  const up = cells(), sort = heads[column].getAttribute("aria-sort");
  heads[column].querySelector("button").click();
  seen.tables.push({id: table.id, before, up, down: cells(), sort});
}
for (const image of document.images)
  seen.images.push({alt: image.alt, width: image.naturalWidth, shown: image.complete});
const said = document.createElement("pre");
said.id = "seen";
said.textContent = JSON.stringify(seen);
document.body.append(said);
</script>
"""


def browse(page, *options):
    """Return the page's DOM in the browser, and what its console said."""
    done = subprocess.run(
        [
            BROWSER,
            *("--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr"),
            *("--host-resolver-rules=MAP * ~NOTFOUND", "--virtual-time-budget=5000"),
            *(f"--user-data-dir={page.parent / 'profile'}", *options, "--dump-dom"),
            page.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    root = tmp_path_factory.mktemp("report") / "runs <b>"
    for seed in (1, 2, 3):
        for padding, best in (("zero", 76 + seed / 10), ("partial", 76.5 + seed / 12)):
            run = write_run(root, "resnet50", padding, seed, best, best - 0.5)
            for used in ("zero", "partial"):
                write_evaluation(run, used, best if used == padding else best - 9)
    write_run(root, "vgg16_bn", "zero", 1, 73, 72, finish=False)
    odd = write_run(root, "resnet50", "reflect", 1, 76, 75)
    odd.path.rename(root / "<script>alert(1)<script>")
    out = root.parent / "report.html"

    def make():
        import sys

        before = sys.argv
        sys.argv = ["results", "report", "--runs", str(root), "--out", str(out)]
        try:
            main()
        finally:
            sys.argv = before

    make()
    return out


def test_it_holds_everything_itself_and_names_stay_text(page):
    text = page.read_text()

    class Links(HTMLParser):
        found, tags = [], []

        def handle_starttag(self, tag, attributes):
            self.tags.append(tag)
            self.found += [v for k, v in attributes if k in ("src", "href")]

    links = Links()
    links.feed(text)
    assert all(link.startswith(("data:", "#")) for link in links.found)
    assert len(links.found) > 5
    assert links.tags.count("script") == 1
    assert html.escape("<script>alert(1)<script>") in text
    anchors = {link for link in links.found if link.startswith("#")}
    assert all(f'id="{anchor[1:]}"' in text for anchor in anchors)
    for name in ("table_2_best", "table_3_last5_avg", "table_4_cross", "claims_best", "errata"):
        assert name in text
    assert "NOT ImageNet" in text  # its validation set has another size


@pytest.mark.skipif(not BROWSER, reason="chromium: not installed")
def test_in_a_browser(page):
    tried = page.with_name("tried.html")
    tried.write_text(page.read_text().replace("</body>", f"{ACTIONS}</body>"))
    dom, console = browse(tried, "--window-size=390,800")
    assert not console
    seen = json.loads(html.unescape(re.search(r'<pre id="seen">(.*?)</pre>', dom, re.S)[1]))
    assert seen["wide"] <= 500  # a phone scrolls tables, not the page
    assert len(seen["tables"]) >= 8
    for table in seen["tables"]:
        assert sorted(table["up"]) == sorted(table["before"]) == sorted(table["down"])
        assert table["sort"] == "ascending"
        numbers = [float(cell) for cell in table["up"] if re.fullmatch(r"-?[\d.]+", cell)]
        assert numbers == sorted(numbers), table["id"]
    assert seen["images"]
    assert all(image["shown"] and image["width"] and image["alt"] for image in seen["images"])


# In the order that a click gives, and mixed up otherwise.
COLUMNS = {
    "intervals": ["[-3.118, 0.990]", "[-0.5, 2.000]", "[0.010, 0.020]", "[10.5, 11.2]", "-", ""],
    "dates": ["2025-12-31 23:59", "2026-01-02 08:00", "2026-01-02 10:00", "2026-11-01 07:00"],
    "commits": ["1234567", "10e4567890 and 2 changed files", "12e4567890", "9f00000000"],
    "numbers": ["-1.064 W", "< 0.0001", "± 0.5", "3/5", "63.2 (4/5 seeds)", "1,234", "20,000"],
}


@pytest.mark.skipif(not BROWSER, reason="chromium: not installed")
def test_what_is_sorted_as_a_number(page):
    tables = "".join(
        f'<table id="{name}"><thead><tr><th>{name}</th></tr></thead><tbody>'
        + "".join(f"<tr><td>{html.escape(cell)}</td></tr>" for cell in reversed(cells))
        + "</tbody></table>"
        for name, cells in COLUMNS.items()
    )
    tried = page.with_name("sorted.html")
    text = page.read_text().replace("</main>", f"{tables}</main>")
    tried.write_text(text.replace("</body>", f"{ACTIONS}</body>"))
    dom, _ = browse(tried)
    seen = json.loads(html.unescape(re.search(r'<pre id="seen">(.*?)</pre>', dom, re.S)[1]))
    up = {table["id"]: table["up"] for table in seen["tables"]}
    assert sorted(up["intervals"][-2:]) == ["", "-"]
    assert up["intervals"][:4] == COLUMNS["intervals"][:4]
    assert {name: up[name] for name in COLUMNS if name != "intervals"} == {
        name: cells for name, cells in COLUMNS.items() if name != "intervals"
    }


@pytest.mark.skipif(not BROWSER, reason="chromium: not installed")
def test_on_a_phone_figures_scroll_and_names_wrap(page):
    ask = """<script>
    const pre = document.createElement("pre"), seen = [document.documentElement.scrollWidth];
    seen.push(Math.min(...Array.from(document.images, image => image.offsetWidth)));
    seen.push(getComputedStyle(document.querySelector("th[scope=row]")).whiteSpace);
    seen.push(Array.from(document.images).every(image => image.closest(".wide")));
    pre.id = "seen"; pre.textContent = JSON.stringify(seen); document.body.append(pre);
    </script></body>"""
    small = page.with_name("small.html")
    small.write_text(page.read_text().replace("</body>", ask))
    dom, _ = browse(small, "--window-size=390,800")
    found = json.loads(html.unescape(re.search(r'<pre id="seen">(.*?)</pre>', dom, re.S)[1]))
    assert found[0] <= 500
    assert found[1] >= 600
    assert found[2:] == ["normal", True]


def test_ids_are_unique_and_regions_are_called_as_their_tables(page):
    class Parts(HTMLParser):
        ids, regions, captions, open_ = [], [], [], ""

        def handle_starttag(self, tag, attributes):
            known = dict(attributes)
            self.ids += [known["id"]] if "id" in known else []
            if known.get("role") == "region":
                self.regions.append(known["aria-label"])
            self.open_ = tag

        def handle_data(self, text):
            if self.open_ in ("caption", "figcaption") and text.strip():
                self.captions.append(text)

    parts = Parts()
    parts.feed(page.read_text())
    assert {"recipe", "table-recipe", "provenance", "table-provenance"} <= set(parts.ids)
    assert [name for name in parts.ids if parts.ids.count(name) > 1] == []
    assert parts.regions == parts.captions
    assert len(set(parts.regions)) == len(parts.regions) > 10


def test_claims_of_both_measures(page):
    text = page.read_text()
    for name in ("claims_best", "claims_last5_avg"):
        assert text.count(f'<table id="table-{name}">') == 1
    said = [note for note in claims_table([], "best", MARGIN).notes if f"{MARGIN:g}" in note]
    assert said
    assert all(text.count(html.escape(note)) == 2 for note in said)


def test_figures_say_where_their_numbers_are_only_if_they_are(page):
    told = dict(re.findall(r'alt="(Fig. \d|Every)([^"]*)"', page.read_text()))
    assert told["Fig. 1"].endswith("its numbers are in the tables below")
    assert told["Fig. 3"].endswith("the epochs that it marks are in the tables below")
    assert "tables below" not in told["Fig. 2"] + told["Every"]


@pytest.mark.skipif(not BROWSER, reason="chromium: not installed")
def test_dark_and_light_are_readable(page):
    """The text's contrast against its ground, by WCAG: 7 and more."""

    def luminance(colour):
        parts = [int(value) / 255 for value in re.findall(r"\d+", colour)[:3]]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))

    ask = """<script>
    const style = getComputedStyle(document.body), pre = document.createElement("pre");
    pre.id = "seen"; pre.textContent = JSON.stringify([style.color, style.backgroundColor]);
    document.body.append(pre);
    </script></body>"""
    coloured = page.with_name("coloured.html")
    coloured.write_text(page.read_text().replace("</body>", ask))
    grounds = []
    for scheme in ("0", "1"):  # dark, light
        dom, _ = browse(coloured, f"--blink-settings=preferredColorScheme={scheme}")
        found = json.loads(html.unescape(re.search(r'<pre id="seen">(.*?)</pre>', dom, re.S)[1]))
        text, ground = map(luminance, found)
        grounds.append(ground)
        light, dark = max(text, ground), min(text, ground)
        assert (light + 0.05) / (dark + 0.05) >= 7
    assert grounds[0] < 0.1 < 0.9 < grounds[1]
