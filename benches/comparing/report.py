"""What was measured, as a table and as JSON, and what it is judged by."""
import json, statistics

# What each case is judged by, with its unit; the rest of its figures stand beside it.
HEADLINES = {"cpu_us": "µs CPU", "mb_per_cpu_s": "MB per CPU s", "kb_each": "kB each", "ms": "ms", "p50_us": "µs",
             "instructions": "instructions", "system_calls": "system calls"}

# A goal that was met is raised to what was reached.
GOALS = [
    # case, server, metric, factor, of which server (or None: absolute), at most (or at least)
    ("handshake, one client", "mtls-min", "cpu_us", 0.3, "nginx", "≤"),
    ("handshake, one client", "mtls-min", "cpu_us", 0.14, "node", "≤"),
    ("handshake, one client", "mtls-min", "cpu_us", 0.5, "hyper", "≤"),
    ("handshake, one client", "mtls-min", "cpu_us", 0.9, "floor", "≤"),
    ("handshake, 2,000 clients", "mtls-min", "cpu_us", 1.3, "floor", "≤"),
    ("client without TCP_NODELAY", "mtls-min", "p50_us", 400, None, "≤"),
    ("client without TCP_NODELAY", "mtls-min", "per_second", 100, "hyper", "≥"),
    ("resumed handshake", "mtls-min", "cpu_us", 0.6, ("handshake, one client", "mtls-min"), "≤"),
    ("kept alive, 1", "mtls-min", "cpu_us", 0.7, "nginx", "≤"),
    ("kept alive, 1", "mtls-min", "cpu_us", 0.9, "hyper", "≤"),
    ("kept alive, 64", "mtls-min", "cpu_us", 0.6, "nginx", "≤"),
    ("kept alive, 64", "mtls-min", "cpu_us", 0.85, "hyper", "≤"),
    ("kept alive, 1000", "mtls-min", "cpu_us", 0.6, "nginx", "≤"),
    ("kept alive, 1000", "mtls-min", "cpu_us", 0.8, "hyper", "≤"),
    ("counted, a kept request", "mtls-min", "instructions", 12_000, None, "≤"),
    ("counted, a kept request", "mtls-min", "allocations", 6, None, "≤"),
    ("counted, a kept request", "mtls-min, log off", "instructions", 9000, None, "≤"),
    ("counted, a handshake", "mtls-min", "system_calls", 14, None, "≤"),
    ("refused, no certificate", "mtls-min", "cpu_us", 0.7, ("handshake, one client", "mtls-min"), "≤"),
    *[("body down, 16 MB", "mtls-min, library", "mb_per_cpu_s", *goal, "≥") for goal in [(3, "nginx, log off"), (1, "hyper")]],
    *[("body up, 16 MB", "mtls-min, library", "mb_per_cpu_s", *goal, "≥") for goal in [(1.7, "nginx, log off"), (1, "hyper")]],
    *[(case, "mtls-min, log off", metric, 1, "nginx, log off", "≤") for metric in ["cpu_us", "p99_us"] for case in [
        "forwarded, a small answer", "forwarded, 1 MB", "file, 10 kB"]],
    ("file, 100 MB", "mtls-min, log off", "mb_per_cpu_s", 2, "nginx, log off", "≥"),
    ("idle connections, 1000", "mtls-min", "kb_each", 9.2, None, "≤"),
    ("idle connections, 1000", "mtls-min", "kb_each", 0.35, "nginx", "≤"),
    ("idle connections, 10000", "mtls-min", "kb_each", 7.5, None, "≤"),
    ("idle connections, 10000", "mtls-min", "kb_each", 0.36, "nginx", "≤"),
    ("cold start", "mtls-min", "ms", 2.6, None, "≤"),
    *[("cold start", "mtls-min", "ms", factor, peer, "≤") for factor, peer in [
        (0.26, "nginx"), (0.1, "haproxy"), (0.03, "node"), (1, "hyper"), (0.13, "caddy")]],
    ("footprint", "mtls-min", "file_mb", 5, None, "≤"),
    ("footprint", "mtls-min, smallest", "file_mb", 2.5, None, "≤"),
    ("footprint", "mtls-min, smallest", "pss_mb_after_a_request", 2.8, None, "≤"),
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
             f"medians of {bench.rounds} rounds, from lowest to highest in brackets; {seconds / 60:.0f} minutes in all",
             "TLS 1.3, AES-128-GCM, X25519; tickets off but for resumed handshakes; “log”: it writes a line for each request"]
    for case, servers in bench.figures.items():
        lines += ["", case]
        head = next((metric for metric in HEADLINES if any(metric in figures for figures in servers.values())), None)
        nginx = bench.median(case, "nginx", head) or bench.median(case, "nginx, log off", head)
        for server, figures in servers.items():
            words = [figure(metric, values) for metric, values in figures.items()]
            if nginx and head in figures:
                words.append(f"{statistics.median(figures[head]) / nginx:.2f} of nginx")
            log = {True: "log", False: "no log", None: ""}[bench.logs[case, server]]
            lines.append(f"  {server:23} {log:6}  " + "  ".join(words))
        lines += [f"  {remark}" for remark in bench.remarks.get(case, [])]
    lines += ["", "goals"]
    for goal in judged(bench):
        mark = "reached" if goal["good"] else "MISSED "
        lines.append(f"  {mark}  {goal['case']:27} {goal['server']:19} {goal['metric']:22} {goal['goal']:34} {goal['reached']:8.3g}")
    return "\n".join(lines)


UNITS = {"cpu_us": "µs CPU", "per_second": "/s", "p50_us": "µs p50", "p99_us": "µs p99", "mb_per_cpu_s": "MB per CPU s",
         "mb_per_s": "MB/s", "kb_each": "kB each", "threads": "threads", "ms": "ms", "pss_mb": "MB",
         "pss_mb_at_start": "MB at start", "pss_mb_after_a_request": "MB after a request", "file_mb": "MB file",
         "listens_after_s": "s until it listens", "handshake_us": "µs CPU a handshake", "kept_us": "µs CPU a kept request",
         "instructions": "instructions", "allocations": "allocations", "system_calls": "system calls"}


def figure(metric, values):
    middle, low, high = statistics.median(values), min(values), max(values)
    short = lambda value: f"{value:.0f}" if value >= 100 else f"{value:.3g}"
    spread = f" [{short(low)}–{short(high)}]" if len(values) > 1 and metric in HEADLINES else ""
    return f"{short(middle)}{spread} {UNITS[metric]}"


def as_json(bench, versions, processor, seconds):
    return json.dumps({"processor": processor, "versions": versions, "rounds": bench.rounds, "seconds": seconds,
                       "figures": bench.figures, "remarks": bench.remarks, "goals": list(judged(bench))}, indent=1, ensure_ascii=False)
