"""The drawing: bars of CPU time, a panel for each case, the peers side by side."""
import html

CASES = [("handshake, one client", "A handshake, a request, close"), ("handshake, 2,000 clients", "The same, by clients not met before"),
         ("refused, no certificate", "A stranger: handshake, 401, close"), ("kept alive, 1", "A kept request, 1 connection"),
         ("kept alive, 64", "A kept request, 64 connections"), ("kept alive, 1000", "A kept request, 1,000 connections")]

COLUMNS, WIDTH, NAMES, BAR, ROW, HEAD, GAP = 2, 430, 96, 13, 19, 30, 20
# A bar longer than so many of nginx's is cut.
MOST = 1.7

STYLE = """text{font:12px system-ui,sans-serif;fill:#24292f}.title{font-weight:600;font-size:13px}.large{font-size:16px}
.note{fill:#656d76}.ours{fill:#1f6feb}.other{fill:#8c959f}.none{fill-opacity:.35}.cut{stroke:#fff;stroke-width:3;fill:none}
.back{fill:#fff}.axis{stroke:#d0d7de}@media(prefers-color-scheme:dark){text{fill:#e6edf3}.note{fill:#9198a1}.ours{fill:#4493f8}
.other{fill:#7d8590}.cut{stroke:#0d1117}.back{fill:#0d1117}.axis{stroke:#30363d}}"""


def svg(bench, processor):
    """mtls-min's first; shorter is better."""
    panels = [(title, rows_of(bench, case)) for case, title in CASES if case in bench.figures]
    parts, top, width = [], 78, COLUMNS * WIDTH
    for number in range(0, len(panels), COLUMNS):
        line = panels[number:number + COLUMNS]
        for column, (title, rows) in enumerate(line):
            parts.append(panel(title, rows, 16 + column * WIDTH, top))
        top += HEAD + ROW * max(len(rows) for _, rows in line) + GAP
    height = top + 12
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}">'
            f'<style>{STYLE}</style><rect class="back" width="{width}" height="{height}" rx="6"/>'
            + word(16, 28, "CPU time of the server for one operation, in microseconds: shorter is better", "title large")
            + legend(16, 52) + "".join(parts) + word(16, height - 10, f"{processor}, loopback; a cut bar is longer", "note") + "</svg>\n")


def rows_of(bench, case):
    """Of each server its name, the median, and whether it writes a log."""
    return [(name, bench.median(case, name, "cpu_us"), bench.logs[case, name]) for name in bench.figures[case]]


def panel(title, rows, left, top):
    limit = MOST * next((value for name, value, _ in rows if name == "nginx"), max(value for _, value, _ in rows))
    start, room = left + NAMES, WIDTH - NAMES - 70
    scale = room / min(limit, max(value for _, value, _ in rows))
    parts = [word(left, top + 14, title, "title")]
    for number, (name, value, logs) in enumerate(rows):
        y = top + HEAD + number * ROW - 4
        length = max(1, min(value, limit) * scale)
        kind = ("ours" if name.startswith("mtls-min") else "other") + ("" if logs else " none")
        parts.append(word(start - 8, y + 11, name.removesuffix(", log off"), "title" if kind.startswith("ours") else "", "end"))
        parts.append(f'<rect x="{start}" y="{y}" width="{length:.1f}" height="{BAR}" rx="2" class="{kind}"/>')
        if value > limit:
            x = start + length - 18
            parts.append(f'<path class="cut" d="M{x:.1f} {y + BAR + 1}l5 -{BAR + 2}"/>')
        parts.append(word(start + length + 6, y + 11, f"{value:.0f}" if value >= 100 else f"{value:.1f}"))
    bottom = top + HEAD + len(rows) * ROW - 6
    parts.append(f'<path class="axis" d="M{start - .5} {top + HEAD - 6}V{bottom}"/>')
    return "".join(parts)


def legend(x, y):
    words = [("ours", "mtls-min, log on"), ("ours none", "mtls-min, log off"), ("other", "another, log on"),
             ("other none", "another, log off or none")]
    parts = []
    for kind, text in words:
        parts.append(f'<rect x="{x}" y="{y - 10}" width="{BAR}" height="{BAR}" rx="2" class="{kind}"/>' + word(x + 19, y + 1, text))
        x += 46 + 5.8 * len(text)
    return "".join(parts)


def word(x, y, text, kind="", anchor="start"):
    return f'<text x="{x:.1f}" y="{y}" class="{kind}" text-anchor="{anchor}">{html.escape(text)}</text>'
