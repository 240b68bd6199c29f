"""A plan as a picture (SVG): time runs from left to right, a box is a request, a line leads to what waits for it."""

from html import escape

from graphql import parse, print_ast

from clusters.planning import Explained
from gateway.engine.plan import Fetch, described
from services.kit.language import spoken

# By the order in which subgraphs appear. Chosen to differ for those who see colours differently (Okabe and Ito).
COLOURS = ("#0072b2", "#009e73", "#d55e00", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
WIDTH, GAP, LINE, MARGIN, TOP = 330, 70, 15, 20, 70
MOST_LINES, MOST_LETTERS = 24, 46


def picture(explained: Explained) -> str:
    """The SVG document. The plan as text is its description, for those who listen to it."""
    waves = explained.plan.waves()
    colours: dict[str, str] = {}
    for fetch in explained.plan.fetches:
        colours.setdefault(fetch.subgraph, COLOURS[len(colours) % len(COLOURS)])
    parts, ports, bottom = [], {}, TOP + LINE
    for number, wave in enumerate(waves):
        x, y = MARGIN + number * (WIDTH + GAP), TOP
        parts.append(line(x, TOP - 10, spoken(f"wave {number + 1}", f"vague {number + 1}"), "#555"))
        for fetch in wave:
            lines = _lines(fetch)
            height = (len(lines) + 2) * LINE + 8
            parts.append(framed(_title(fetch), lines, x, y, colours[fetch.subgraph]))
            ports[fetch.id] = (x, y + height / 2)
            bottom = max(bottom, y + height)
            y += height + 24
    links = [
        _link(ports[before], ports[fetch.id], colours[fetch.subgraph])
        for fetch in explained.plan.fetches
        for before in fetch.after
    ]
    width = MARGIN * 2 + max(len(waves), 2) * (WIDTH + GAP) - GAP
    title = str(explained).partition("\n")[0]
    if not waves:
        parts.append(line(MARGIN, TOP, spoken("Nothing to fetch", "Rien à demander"), "#555"))
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {bottom + MARGIN}" width="{width}" role="img" '
            f'font-family="ui-monospace, Menlo, Consolas, monospace" font-size="11">',
            f"<title>{escape(title)}</title>",
            f"<desc>{escape(str(explained))}</desc>",
            '<rect width="100%" height="100%" fill="#fff"/>',
            f'<text x="{MARGIN}" y="30" font-size="14" font-weight="bold">{escape(title)}</text>',
            *links,
            *parts,
            "</svg>\n",
        ]
    )


def framed(title: str, lines: list[str], x: float, y: float, colour: str) -> str:
    """A box of a title and of lines."""
    height = (len(lines) + 2) * LINE + 8
    text = "\n".join(line(x + 10, y + (row + 2) * LINE + 6, told, "#222") for row, told in enumerate(lines))
    return (
        f'<g><rect x="{x}" y="{y}" width="{WIDTH}" height="{height}" rx="4" fill="#fafafa" stroke="{colour}"/>'
        f'<rect x="{x}" y="{y}" width="{WIDTH}" height="{LINE + 5}" rx="4" fill="{colour}"/>'
        f"{line(x + 10, y + LINE - 1, shortened(title), '#fff', bold=True)}\n{text}</g>"
    )


def shortened(text: str) -> str:
    """A text that fits into a box."""
    return text if len(text) <= MOST_LETTERS else text[: MOST_LETTERS - 1] + "…"


def _title(fetch: Fetch) -> str:
    title = f"{fetch.id}  {fetch.subgraph}"
    if fetch.defers:
        names = ", ".join(map(str, fetch.defers))
        title += spoken(f" (deferred: {names})", f" (différé\u00a0: {names})")
    return title


def _link(begin: tuple[float, float], finish: tuple[float, float], colour: str) -> str:
    x1, y1, x2, y2 = begin[0] + WIDTH, begin[1], finish[0], finish[1]
    middle = x2 - GAP / 2
    return (
        f'<path d="M{x1} {y1} C{middle} {y1} {middle} {y2} {x2 - 6} {y2}" fill="none" stroke="{colour}" stroke-width="1.5"/>'
        f'<path d="M{x2} {y2} l-8 -4 v8 z" fill="{colour}"/>'
    )


def line(x: float, y: float, text: str, colour: str, *, bold: bool = False) -> str:
    """A line of text."""
    weight = ' font-weight="bold"' if bold else ""
    return f'<text x="{x}" y="{y}" fill="{colour}"{weight} xml:space="preserve">{escape(text)}</text>'


def _lines(fetch: Fetch) -> list[str]:
    """What a box tells: the values that are looked up, then the fields as a tree, cut where it gets long."""
    told = [
        spoken(f"for {e['type']} {{ {e['fields']} }}", f"pour {e['type']} {{ {e['fields']} }}")
        for e in described(fetch)["entities"]
    ]
    written = print_ast(parse(fetch.document, no_location=True)).splitlines()
    asked = [text.removesuffix(" {") for text in written[2 if told else 1 :] if text.strip() != "}"]
    told += [text[4 if told else 2 :] for text in asked]
    rest = len(told) - MOST_LINES
    if rest > 1:
        told = [*told[:MOST_LINES], spoken(f"… {rest} more lines", f"… encore {rest} lignes")]
    return [shortened(text) for text in told]
