"""What an operation tells about people as a picture (SVG): a box is a service with the fields that it tells, an arrow leads what
passes by @requires to who gets it; below stand the purposes."""

from html import escape

from clusters.plan_picture import COLOURS, LINE, MARGIN, WIDTH, framed, line, shortened
from clusters.privacy import Passing, Report, by_category, ministry_of
from services.kit.language import spoken

TOP, BETWEEN, TO_RIGHT = 60, 30, 140


def picture(report: Report) -> str:
    """The SVG document. The report as text is its description, for those who listen to it."""
    services = list(dict.fromkeys([*(t.service for t in report.tellings), *(p.to for p in report.passings)]))
    parts, ports, y = [], {}, TOP
    for number, service in enumerate(services):
        lines = _lines(report, service)
        height = (len(lines) + 2) * LINE + 8
        ports[service] = y + height / 2
        parts.append(framed(service, lines, MARGIN, y, COLOURS[number % len(COLOURS)]))
        y += height + BETWEEN
    parts += [_arrow(passing, ports, number) for number, passing in enumerate(report.passings)]
    if not report.tellings:
        parts.append(line(MARGIN, y, spoken("Nothing about people", "Rien sur des personnes"), "#555"))
        y += LINE
    for purpose in report.chosen:
        parts.append(line(MARGIN, y, f"{purpose.code}: {spoken(purpose.words.en, purpose.words.fr)}", "#222"))
        y += LINE
    width = WIDTH + TO_RIGHT * 2 + MARGIN * 2
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {y + MARGIN}" width="{width}" role="img" '
            f'font-family="ui-monospace, Menlo, Consolas, monospace" font-size="11">',
            f"<title>{escape(report.name)}</title>",
            f"<desc>{escape(str(report))}</desc>",
            '<rect width="100%" height="100%" fill="#fff"/>',
            f'<text x="{MARGIN}" y="30" font-size="14" font-weight="bold">{escape(report.name)}</text>',
            *parts,
            "</svg>\n",
        ]
    )


def _lines(report: Report, service: str) -> list[str]:
    ministry = ministry_of(service)
    found = [spoken(ministry.en, ministry.fr)]
    for telling in report.tellings:
        if telling.service == service:
            for category, fields in by_category(telling.fields).items():
                found += [category, *(f"  {field}" for field in fields)]
    return [shortened(text) for text in found]


def _arrow(passing: Passing, ports: dict[str, float], number: int) -> str:
    x, y1, y2 = MARGIN + WIDTH, ports.get(passing.source, TOP), ports[passing.to] + number * 6
    bend = x + TO_RIGHT
    names = ", ".join(told.field for told in passing.fields)
    return (
        f'<path d="M{x} {y1} C{bend} {y1} {bend} {y2} {x + 6} {y2}" fill="none" stroke="#555" stroke-width="1.5"/>'
        f'<path d="M{x} {y2} l8 -4 v8 z" fill="#555"/>'
        f"{line(x + TO_RIGHT * 0.8, (y1 + y2) / 2, shortened(names), '#222')}"
    )
