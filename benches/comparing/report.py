"""What was measured, as a table, as JSON, and as a drawing."""
import html, json, statistics

# What each case is judged by, with its unit; the rest of its figures stand beside it.
HEADLINES = {"cpu_us": "µs CPU", "mb_per_cpu_s": "MB per CPU s", "kb_each": "kB each", "ms": "ms", "p50_us": "µs"}

GOALS = [
    # case, server, metric, factor, of which server (or None: absolute), at most (or at least)
    ("handshake, P-256", "mtls-min", "cpu_us", 0.30, "nginx", "≤"),
    ("handshake, P-256", "mtls-min", "cpu_us", 0.2, "node", "≤"),
    ("handshake, P-256", "mtls-min", "cpu_us", 0.5, "hyper", "≤"),
    ("handshake, P-256", "mtls-min", "cpu_us", 1.3, "floor", "≤"),
    ("client without TCP_NODELAY", "mtls-min", "p50_us", 5000, None, "≤"),
    ("client without TCP_NODELAY", "mtls-min", "per_second", 10, "hyper without tickets", "≥"),
    ("resumed handshake", "mtls-min, resuming", "cpu_us", 0.6, "mtls-min", "≤"),
    ("kept alive, 1", "mtls-min", "cpu_us", 0.9, "nginx", "≤"),
    ("kept alive, 1", "mtls-min", "cpu_us", 1.0, "hyper", "≤"),
    ("kept alive, 64", "mtls-min", "cpu_us", 0.7, "nginx", "≤"),
    ("kept alive, 64", "mtls-min", "cpu_us", 1.0, "hyper", "≤"),
    ("kept alive, 1000", "mtls-min", "cpu_us", 0.6, "nginx", "≤"),
    ("kept alive, 1000", "mtls-min", "cpu_us", 1.0, "hyper", "≤"),
    ("refused, no certificate", "mtls-min", "cpu_us", 1.0, ("handshake, P-256", "mtls-min"), "≤"),
    ("body down, 16 MB", "mtls-min", "mb_per_cpu_s", 1.0, "nginx", "≥"),
    ("body down, 16 MB", "mtls-min", "mb_per_cpu_s", 0.8, "AES-128-GCM alone", "≥"),
    ("body up, 16 MB", "mtls-min", "mb_per_cpu_s", 1.0, "nginx", "≥"),
    ("body up, 16 MB", "mtls-min", "mb_per_cpu_s", 0.8, "AES-128-GCM alone", "≥"),
    ("idle connections, 1000", "mtls-min", "kb_each", 10, None, "≤"),
    ("idle connections, 1000", "mtls-min", "kb_each", 0.4, "nginx", "≤"),
    ("idle connections, 10000", "mtls-min", "kb_each", 10, None, "≤"),
    ("idle connections, 10000", "mtls-min", "kb_each", 0.4, "nginx", "≤"),
    ("cold start", "mtls-min", "ms", 15, None, "≤"),
    *[("cold start", "mtls-min", "ms", 1.0, peer, "≤") for peer in ["nginx", "haproxy", "node", "hyper", "caddy"]],
    ("footprint", "mtls-min", "file_mb", 5, None, "≤"),
    ("footprint", "mtls-min, smallest", "file_mb", 2.5, None, "≤"),
    ("footprint", "mtls-min, smallest", "rss_mb_after_a_request", 3.5, None, "≤"),
    *[("busy trust", "all of them", metric, 1.02, "none", "≤") for metric in ["handshake_us", "kept_us"]],
]


def judged(bench):
    """Each goal with what was reached."""
    for case, server, metric, factor, of, direction in GOALS:
        value = bench.median(case, server, metric)
        if of is None:
            base, limit, words = 1, factor, f"{direction} {factor:g}"
        else:
            of_case, of_server = of if isinstance(of, tuple) else (case, of)
            base = bench.median(of_case, of_server, metric)
            words = f"{direction} {factor:g} × {of_server if of_case == case else of_case}"
        if value is None or base is None:
            continue
        reached = value / base
        good = reached <= factor if direction == "≤" else reached >= factor
        yield {"case": case, "server": server, "metric": metric, "goal": words, "reached": reached, "good": good}


def text(bench, versions, processor, seconds):
    lines = [f"{processor}; " + ", ".join(f"{name} {version}" for name, version in versions.items()),
             f"medians of {bench.rounds} rounds, from lowest to highest in brackets; {seconds / 60:.0f} minutes in all"]
    for case, servers in bench.figures.items():
        lines += ["", case]
        nginx = next((bench.median(case, "nginx", metric) for metric in HEADLINES if bench.median(case, "nginx", metric)), None)
        for server, figures in servers.items():
            words = [figure(metric, values) for metric, values in figures.items()]
            head = next((metric for metric in HEADLINES if metric in figures), None)
            if nginx and head and bench.median(case, "nginx", head):
                words.append(f"{statistics.median(figures[head]) / bench.median(case, 'nginx', head):.2f} of nginx")
            lines.append(f"  {server:23} " + "  ".join(words))
    lines += ["", "goals"]
    for goal in judged(bench):
        mark = "reached" if goal["good"] else "MISSED "
        lines.append(f"  {mark}  {goal['case']:27} {goal['metric']:22} {goal['goal']:34} {goal['reached']:8.3g}")
    return "\n".join(lines)


UNITS = {"cpu_us": "µs CPU", "per_second": "/s", "p50_us": "µs p50", "p99_us": "µs p99", "mb_per_cpu_s": "MB per CPU s",
         "mb_per_s": "MB/s", "kb_each": "kB each", "threads": "threads", "ms": "ms", "rss_mb": "MB RSS",
         "rss_mb_at_start": "MB RSS at start", "rss_mb_after_a_request": "MB RSS after a request", "file_mb": "MB file",
         "listens_after_s": "s until it listens", "handshake_us": "µs CPU a handshake", "kept_us": "µs CPU a kept request"}


def figure(metric, values):
    middle, low, high = statistics.median(values), min(values), max(values)
    short = lambda value: f"{value:.0f}" if value >= 100 else f"{value:.3g}"
    spread = f" [{short(low)}–{short(high)}]" if len(values) > 1 and metric in HEADLINES else ""
    return f"{short(middle)}{spread} {UNITS[metric]}"


def as_json(bench, versions, processor, seconds):
    return json.dumps({"processor": processor, "versions": versions, "rounds": bench.rounds, "seconds": seconds,
                       "figures": bench.figures, "goals": list(judged(bench))}, indent=1, ensure_ascii=False)


CHARTS = [("handshake, P-256", "cpu_us", "full handshake, one request, close"), ("refused, no certificate", "cpu_us", "a stranger: 401, close"),
          ("kept alive, 1", "cpu_us", "kept alive, 1 connection"), ("kept alive, 64", "cpu_us", "kept alive, 64 connections"),
          ("kept alive, 1000", "cpu_us", "kept alive, 1,000 connections")]


def svg(bench, versions, processor):
    """Bars of CPU time by case, mtls-min's first: shorter is better."""
    left, width, bar, gap = 130, 760, 16, 4
    parts, y = [], 46
    for case, metric, title in CHARTS:
        rows = [(server, bench.median(case, server, metric)) for server in bench.figures.get(case, {})]
        rows = [(server, value) for server, value in rows if value is not None]
        if not rows:
            continue
        most = max(value for _, value in rows)
        parts.append(f'<text x="10" y="{y}" class="title">{html.escape(title)}</text>')
        y += 8
        for server, value in rows:
            length = max(1, (width - left - 120) * value / most)
            kind = "ours" if server.startswith("mtls-min") else "other"
            label = f"{value:.0f} µs" if value >= 100 else f"{value:.1f} µs"
            middle = y + bar - 4
            parts.append(f'<text x="{left - 8}" y="{middle}" text-anchor="end">{html.escape(server)}</text>'
                         f'<rect x="{left}" y="{y}" width="{length:.1f}" height="{bar}" class="{kind}"/>'
                         f'<text x="{left + length + 6:.1f}" y="{middle}">{label}</text>')
            y += bar + gap
        y += 26
    caption = html.escape(f"{processor}, loopback; the floor is TLS in memory and a bare TCP connection")
    style = ("text{font:13px sans-serif;fill:#333}.title{font-weight:bold}.ours{fill:#1f6feb}.other{fill:#b8c0cc}"
             "@media(prefers-color-scheme:dark){text{fill:#ddd}.other{fill:#59636e}}")
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{y}" viewBox="0 0 {width} {y}">'
            f'<style>{style}</style><text x="10" y="20" class="title">CPU time of the server for one operation: shorter is '
            f'better</text>' + "".join(parts) + f'<text x="10" y="{y - 6}">{caption}</text></svg>\n')
