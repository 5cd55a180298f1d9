"""``sqlkit report``: one page that needs nothing else, looked at in a real browser."""

from __future__ import annotations

import re
import stat
from collections.abc import Iterator
from contextlib import ExitStack
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import psycopg
import pytest
from typer.testing import CliRunner

from sqlkit.cli.app import app
from sqlkit.embedded.scratch import scratch_server
from sqlkit.operations import Overview, html_report, look
from sqlkit.operations.page.charts import bar, span, stacked
from sqlkit.operations.page.markup import Html, tag
from sqlkit.testing import TestServer
from tests.views.browser import Page, opened_page
from tests.views.busy_server import actors, chain_of_three, opened_shop

WIDTHS = (400, 1600)
#: Names and texts that would do something if they were taken for markup.
HOSTILE_TABLE = '<script>document.title="hacked"</script>'
HOSTILE_NAME = "'\"><img src=x onerror=alert(1)>"
HOSTILE_TEXT = "select '</style></code><b>bold</b>&amp;<!--', '\x01\x9b'"
LONG_WORD = "a" * 60


@pytest.fixture(scope="module")
def counting(server: TestServer) -> Iterator[str]:
    """Give the DSN of a shop with hostile names, on a server that counts statements."""
    loaded = {"shared_preload_libraries": "pg_stat_statements"}
    with ExitStack() as stack:
        started = stack.enter_context(scratch_server("sqlkit-report-", bindir=server.bindir, settings=loaded))
        dsn = stack.enter_context(opened_shop(TestServer(started.dsn, server.version, started.bindir)))
        with psycopg.connect(dsn, autocommit=True) as conn:
            conn.execute("create extension pg_stat_statements")
            conn.execute("alter system set autovacuum = off")
            for name in (HOSTILE_TABLE, LONG_WORD):
                quoted = psycopg.sql.Identifier(name)
                conn.execute(psycopg.sql.SQL("create table {} as select 1 as n").format(quoted))
            conn.execute("select /* shop.orders.search */ count(*) from orders where note like '%y%'")
            conn.execute(f"select {', '.join(f'{n} as column_number_{n}' for n in range(60))}")
        yield dsn


@pytest.fixture(scope="module")
def written(counting: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the page, of a server on which three sessions wait in a row and one has a hostile name."""
    path = tmp_path_factory.mktemp("report") / "report.html"
    with chain_of_three(counting), actors(counting, HOSTILE_NAME) as (hostile,):
        hostile.do(HOSTILE_TEXT)
        done = CliRunner().invoke(
            app, ["report", "--dsn", counting, "--html", str(path), "--large", "0.5", "--limit", "60"]
        )
    assert done.exit_code == 0, done.output
    assert done.stdout == ""
    assert f"written: {path}" in done.stderr.replace("\n", "")
    return path


@pytest.fixture(scope="module")
def page(written: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """Give a tab of a browser."""
    with opened_page(tmp_path_factory.mktemp("browser")) as tab:
        yield tab


# In a browser.


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_page_is_whole(page: Page, written: Path, width: int, dark: bool) -> None:
    """The browser has nothing to complain of, asks for nothing else, and all fits the width of the screen."""
    page.open(written, width=width, dark=dark)
    assert page.complaints() == []
    assert [url for url in page.requests() if not url.startswith("data:")] == [written.as_uri()]
    root = "document.documentElement"
    assert page.run(f"{root}.scrollWidth <= {root}.clientWidth")
    assert page.run(f"{root}.clientWidth") == width
    assert page.run(OUTSIDE) == []
    assert page.run("document.title").endswith(": what the server is doing")


#: The elements that show something and stand out of the screen, or text that stands out of its element.
OUTSIDE = """
[...document.querySelectorAll('body *')].filter(one => {
    const box = one.getBoundingClientRect(), head = one.closest('thead');
    if (box.width < 2 || box.height < 2 || head && getComputedStyle(head).clipPath !== 'none') return false;
    const isBlock = !(one instanceof SVGElement) && getComputedStyle(one).display !== 'inline';
    return box.left < -0.5 || box.right > innerWidth + 0.5 || isBlock && one.scrollWidth > one.clientWidth + 1;
}).map(one => one.outerHTML.slice(0, 120))
"""

#: The size and contrast of each text: how far its colour is from that behind it, by WCAG 2.
TEXTS = """
(() => {
    const numbers = color => color.match(/[0-9.]+/g).map(Number);
    const light = color => {
        const [r, g, b] = numbers(color).map(value => value / 255)
            .map(value => value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const behind = one => {
        for (let each = one; each; each = each.parentElement) {
            const color = getComputedStyle(each).backgroundColor;
            if ((numbers(color)[3] ?? 1) === 1) return color;
        }
        return 'rgb(255, 255, 255)';
    };
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    const found = [];
    while (walker.nextNode()) {
        const one = walker.currentNode.parentElement;
        if (!walker.currentNode.data.trim() || one.closest('svg')) continue;
        const style = getComputedStyle(one);
        const [a, b] = [light(style.color), light(behind(one))];
        const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
        found.push([walker.currentNode.data.slice(0, 40), parseFloat(style.fontSize), contrast]);
    }
    return found;
})()
"""


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_page_is_readable(page: Page, written: Path, width: int, dark: bool) -> None:
    """No text is smaller than 13 pixels, and each has a contrast of 4.5 at least, as WCAG asks for."""
    page.open(written, width=width, dark=dark)
    texts = page.run(TEXTS)
    assert len(texts) > 200
    assert [text for text in texts if text[1] < 13] == []
    assert [text for text in texts if text[2] < 4.5] == []


@pytest.mark.parametrize("width", WIDTHS)
def test_charts_are_drawn(page: Page, written: Path, width: int) -> None:
    """Bars are as long as their numbers say, on any screen, and each says what it shows to whoever does not see it."""
    page.open(written, width=width)
    drawn = page.run(
        "[...document.querySelectorAll('svg.chart')].map(one => ({"
        " told: one.getAttribute('aria-label'), width: one.getBoundingClientRect().width,"
        " bars: [...one.querySelectorAll('rect:not(.track)')].map(bar => bar.getBoundingClientRect().width)}))"
    )
    assert len(drawn) > 20
    assert all(chart["told"] for chart in drawn)
    assert min(chart["width"] for chart in drawn) >= 60
    totals = page.run(
        "[...document.querySelectorAll('#statements table')].slice(0, 1).flatMap(table =>"
        " [...table.querySelectorAll('tbody rect:not(.track)')].map(bar => bar.getBoundingClientRect().width))"
    )
    assert totals == sorted(totals, reverse=True)
    assert totals[0] > 2 * totals[-1]
    colours = page.run(
        "[...new Set([...document.querySelectorAll('#tables .legend rect')].map(one => getComputedStyle(one).fill))]"
    )
    assert len(colours) == 3


def test_faults_would_be_seen(page: Page, written: Path) -> None:
    """What the tests look for is found where it is there: a wide element, small and pale text, an error, a request."""
    page.open(written, width=400)
    wide = '<p style="width: 500px; font-size: 9px; color: #999">wide</p><img src="http://127.0.0.1:1/x.png">'
    page.run(f"document.body.insertAdjacentHTML('beforeend', '{wide}'); console.error('wrong')")
    assert len(page.run(OUTSIDE)) >= 1
    (text,) = [text for text in page.run(TEXTS) if text[0] == "wide"]
    assert text[1] == 9
    assert text[2] < 4.5
    assert any("wrong" in one for one in page.complaints())
    assert any("Content Security Policy" in one for one in page.complaints())  # which kept it from being asked for


def test_nothing_of_the_server_is_obeyed(page: Page, written: Path) -> None:
    """Names and statements that look like markup are shown as they are."""
    page.open(written, width=1600)
    assert page.run("document.title") != "hacked"
    assert page.run("document.querySelectorAll('script, img, iframe, object, b b').length") == 0
    text = page.run("document.body.innerText")
    assert HOSTILE_TABLE in text
    assert "</style></code><b>bold</b>&amp;<!--" in text


def test_long_statement_opens(page: Page, written: Path) -> None:
    """A long statement shows its beginning, and all of it at a click."""
    page.open(written, width=400)
    assert "column_number_59" not in page.run("document.body.innerText")
    page.run("[...document.querySelectorAll('details')].forEach(one => one.open = true)")
    assert "column_number_59" in page.run("document.body.innerText")
    assert page.run(OUTSIDE) == []


@pytest.mark.parametrize("width", WIDTHS)
def test_page_of_an_empty_database(page: Page, dsn: str, tmp_path: Path, width: int) -> None:
    """Where there is nothing to show yet, the page says what is missing and is as whole."""
    with psycopg.connect(dsn, autocommit=True) as conn:
        path = tmp_path / "empty.html"
        path.write_text(html_report(look(conn), "somewhere"))
    page.open(path, width=width)
    assert page.complaints() == []
    assert page.run(OUTSIDE) == []
    text = page.run("document.body.innerText")
    assert "Not all is shown" in text
    assert "shared_preload_libraries" in text
    assert "Nothing wants attention." in text


# Without a browser.


class Elements(HTMLParser):
    """The elements of a page, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.links: list[str] = []
        self.anchors: set[str] = set()
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element and what it refers to."""
        self.names.add(tag)
        self.anchors |= {value or "" for key, value in attrs if key == "id"}
        self.links += [value or "" for key, value in attrs if key in ("href", "src", "srcset", "action", "xlink:href")]

    def handle_data(self, data: str) -> None:
        """Note text."""
        self.text += data


def test_page_needs_nothing_else(written: Path) -> None:
    """The page is one file: it refers to nothing, runs nothing, and forbids itself both."""
    text = written.read_text(encoding="utf-8")
    found = Elements(text)
    assert [link for link in found.links if not link.startswith("#")] == ["data:,"]
    assert {link.removeprefix("#") for link in found.links[1:]} <= found.anchors
    assert not found.names & {"script", "img", "iframe", "object", "embed", "form", "base"}
    assert "url(" not in text
    assert "@import" not in text
    assert "default-src &#x27;none&#x27;; style-src" in text
    assert HOSTILE_TABLE in found.text
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", text)


def test_page_shows_all_views(written: Path) -> None:
    """Each view has its part, with what was provoked on the server."""
    text = Elements(written.read_text(encoding="utf-8")).text
    for title in ("Attention", "Activity", "Who waits for whom", "Slowest statements", "By mean time", "Tables",
                  "Dead rows and bloat", "Read from end to end", "Indexes", "Superfluous", "Unused", "Partitions",
                  "Foreign keys without an index", "Databases", "Transaction ids used", "Cache hit ratio"):  # fmt: skip
        assert title in text
    assert "2 sessions wait for process" in text
    assert "shop.orders.search" in text
    assert "drop index concurrently public.orders_placed_again_idx" in text


def test_page_is_its_owners_alone(written: Path) -> None:
    """Others may not read the page: statements may hold what is nobody's business."""
    assert stat.S_IMODE(written.stat().st_mode) == 0o600


def test_page_to_standard_output(counting: str) -> None:
    """With - the page goes to standard output, and nothing else does."""
    done = CliRunner().invoke(app, ["report", "--dsn", counting, "--html", "-"])
    assert done.exit_code == 0
    assert done.stdout.startswith("<!doctype html>\n")
    assert done.stdout.endswith("</html>\n")


def test_page_that_cannot_be_written(counting: str, tmp_path: Path) -> None:
    """Where the page cannot be written the command ends with 2 and says why, and leaves nothing half-made."""
    (tmp_path / "folder").mkdir()
    for target in (tmp_path / "folder", tmp_path / "nowhere" / "report.html"):
        done = CliRunner().invoke(app, ["report", "--dsn", counting, "--html", str(target)])
        assert done.exit_code == 2
        assert "cannot be written" in done.stderr.replace("\n", "")
    assert [one.name for one in tmp_path.rglob("*")] == ["folder"]


def test_page_of_much(server: TestServer, dsn: str) -> None:
    """Of much that is alike the page shows the first, and how much more there is."""
    with psycopg.connect(dsn, autocommit=True) as conn:
        for number in range(8):
            conn.execute(f"create table t_{number} (a integer); create index on t_{number} (a)")
            conn.execute(f"create index t_{number}_again on t_{number} (a)")
        seen = look(conn)
    text = Elements(html_report(seen, "somewhere", most=3)).text
    assert "And 2 more: sqlkit status --json tells all." in text
    assert text.count("is superfluous beside") == 6


def test_page_of_nothing() -> None:
    """A page can be made of whatever was seen, also of nothing."""
    assert "somewhere" in Elements(html_report(Overview(), "somewhere")).text


@pytest.mark.parametrize(
    ("made", "html"),
    [
        (tag("p", "<&>\"'"), "<p>&lt;&amp;&gt;&quot;&#x27;</p>"),
        (tag("p", Html("<b></b>"), None, "x"), "<p><b></b>x</p>"),
        (tag("a", title='">', class_="x", aria_label=None), '<a title="&quot;&gt;" class="x"></a>'),
        (tag("td", data_label="in all"), '<td data-label="in all"></td>'),
        (tag("p", "a\x00b\x9bc\ud800"), "<p>a b c </p>"),
        (tag("meta", charset="utf-8"), '<meta charset="utf-8">'),
    ],
)
def test_markup(made: Html, html: str) -> None:
    """What is not markup already is text, in elements and attributes."""
    assert made == html


def widths(chart: Html) -> list[tuple[str, str]]:
    """Return where each bar begins and how long it is."""
    return re.findall(r'<rect x="([^"]+)" y="0" width="([^"]+)"', chart)[1:]


@pytest.mark.parametrize(
    ("chart", "bars"),
    [
        (bar(0.25, ""), [("0.00%", "25.00%")]),
        (bar(7, ""), [("0.00%", "100.00%")]),
        (bar(-1, ""), [("0.00%", "0.00%")]),
        (stacked([(0.5, "s1"), (0.3, "s2")], ""), [("0.00%", "50.00%"), ("50.00%", "30.00%")]),
        (span(0.2, 0.6, 0.5, ""), [("20.00%", "40.00%")]),
        (span(0.6, 0.2, 0.5, ""), [("60.00%", "0.00%")]),
    ],
)
def test_bars(chart: Html, bars: list[tuple[str, str]]) -> None:
    """Bars begin and end where their parts do, and never outside of the chart."""
    assert widths(chart) == bars


def test_charts_say_what_they_show() -> None:
    """A chart has its text for whoever does not see it."""
    parts: Any = bar(0.5, 'half <of> "it"')
    assert 'aria-label="half &lt;of&gt; &quot;it&quot;"' in parts
    assert "<title>half &lt;of&gt; &quot;it&quot;</title>" in parts
