"""Draws the dashboard of template.yaml from the logs of a local run, as CloudWatch arranges it. It prints SVG.

    .venv/bin/python infra/dashboard/draw.py .dev/logs > docs/images/dashboard.svg

The functions write their own metrics, durations and statuses into their logs. What AWS alone measures (queues, tables, concurrency) has no
line here. It needs the packages of tests/requirements.txt.
"""

import datetime
import json
import pathlib
import re
import statistics
import sys
from xml.sax.saxutils import escape

from cfnlint.decode import cfn_yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
PERIOD_SECONDS = 5  # CloudWatch shows minutes; a local run is short
UNIT_X, UNIT_Y = 50, 36
COLOURS = ("#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd", "#8c564b", "#e377c2", "#7f7f7f", "#bcbd22", "#17becf")


def widgets():
    """Returns the widgets of the template."""
    template = cfn_yaml.load(str(ROOT / "template.yaml"))
    body = template["Resources"]["OverviewDashboard"]["Properties"]["DashboardBody"]["Fn::Sub"]
    name = lambda found: f"triggers-{found[1].lower()}" if found[1] else found[2].split(".")[0]
    body = re.sub(r"\$\{(?:(\w+)Function|([^}]*))\}", name, body)
    return json.loads(body)["widgets"]


def lines(folder):
    """Returns the log lines of the functions, each with its time in seconds."""
    for file in sorted(pathlib.Path(folder).glob("*.log")):
        for text in file.read_text(encoding="utf-8", errors="replace").splitlines():
            line = json.loads(text) if text.startswith('{"level"') else {}
            if "function" in line and "timestamp" in line:
                time = datetime.datetime.fromisoformat(line["timestamp"].replace("Z", "+00:00"))
                yield time.timestamp(), line


def values(line, namespace, name, function):
    """Returns the values of a metric in a line."""
    if namespace == "AWS/ApiGateway":
        status = line.get("status")
        ranges = {"Count": (0, 999), "4XXError": (400, 499), "5XXError": (500, 599)}
        low, high = ranges[name]
        return [1 if low <= status <= high else 0] if isinstance(status, int) else []
    if line["function"] != function:
        return []
    if namespace == "AWS/Lambda" and name == "Duration":
        name = "handler_ms"
    elif namespace != "Triggers":
        return []
    found = line.get(name)
    return found if isinstance(found, list) else [] if found is None else [found]


def statistic(kind, numbers):
    """Returns what CloudWatch shows of the values of a period."""
    if kind.startswith("p"):
        place = int(kind[1:]) * (len(numbers) - 1) // 100
        return sorted(numbers)[place]
    return {"Sum": sum, "Maximum": max, "Average": statistics.fmean}[kind](numbers)


def series(metric, default, logged, begin):
    """Returns the name of a metric, that of its resource with its statistic, and its points."""
    options = metric[-1] if isinstance(metric[-1], dict) else {}
    parts = [part for part in metric if isinstance(part, str)]
    kind = options.get("stat", default)
    function = parts[3] if parts[2:3] != ["ApiName"] and len(parts) > 3 else ""
    periods = {}
    for time, line in logged:
        found = values(line, parts[0], parts[1], function)
        if found:
            periods.setdefault(int((time - begin) // PERIOD_SECONDS), []).extend(found)
    resource = " ".join([function.removeprefix("triggers-"), kind if kind.startswith("p") else ""]).strip()
    return parts[1], resource, [(period, statistic(kind, numbers)) for period, numbers in sorted(periods.items())]


def draw_widget(widget, logged, begin, last):
    """Returns the SVG of a widget."""
    x, y = widget["x"] * UNIT_X, 40 + widget["y"] * UNIT_Y
    width, height = widget["width"] * UNIT_X - 10, widget["height"] * UNIT_Y - 10
    found = [series(metric, widget["properties"]["stat"], logged, begin) for metric in widget["properties"]["metrics"]]
    top = max([value for _, _, points in found for _, value in points] + [1])
    plot_height = height - 48 - 13 * ((len(found) + 1) // 2)
    is_same = len({name for name, _, _ in found}) == 1
    parts = [f'<g transform="translate({x} {y})"><rect width="{width}" height="{height}" fill="#fff" stroke="#ccc"/>',
             f'<text x="8" y="18" font-weight="bold">{escape(widget["properties"]["title"])}</text>',
             f'<text x="8" y="34" fill="#666">{top:g}</text><path d="M40 30v{plot_height}h{width - 50}" fill="none" stroke="#999"/>']
    if not any(points for _, _, points in found):
        is_ours = widget["properties"]["metrics"][0][0] == "Triggers"
        note = "no value in this run" if is_ours else "measured by AWS alone"
        parts.append(f'<text x="{width // 2}" y="{30 + plot_height // 2}" fill="#999" text-anchor="middle">{note}</text>')
    for place, (name, resource, points) in enumerate(found):
        colour = COLOURS[place % len(COLOURS)]
        at = lambda point: f"{40 + point[0] * (width - 50) / max(last, 1):.0f},{30 + plot_height * (1 - point[1] / top):.0f}"
        if points:
            path = " ".join(map(at, points))
            parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
        if len(points) == 1:
            across, down = at(points[0]).split(",")
            parts.append(f'<circle cx="{across}" cy="{down}" r="3" fill="{colour}"/>')
        text = escape(resource if is_same else f"{name} {resource}".strip())
        left, down = 8 + place % 2 * (width // 2), 44 + plot_height + 13 * (place // 2)
        parts.append(f'<text x="{left}" y="{down}" fill="{colour}">{text}</text>')
    return "\n".join([*parts, "</g>"])


def main():
    """Draws all widgets."""
    logged = sorted(lines(sys.argv[1]), key=lambda one: one[0])
    if not logged:
        sys.exit(f"{sys.argv[1]} has no log lines of functions; run `cargo dev` and post events first")
    begin, end = logged[0][0], logged[-1][0]
    last, all_widgets = int((end - begin) // PERIOD_SECONDS), widgets()
    height = 50 + max(one["y"] + one["height"] for one in all_widgets) * UNIT_Y
    print(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1200 {height}" font-family="sans-serif" font-size="11">')
    print(f'<rect width="1200" height="{height}" fill="#f4f4f4"/><text x="8" y="25" font-size="15">'
          f"The dashboard, drawn from the logs of a local run of {end - begin:.0f} s, in periods of {PERIOD_SECONDS} s; not from AWS</text>")
    for widget in all_widgets:
        print(draw_widget(widget, logged, begin, last))
    print("</svg>")


if __name__ == "__main__":
    main()
