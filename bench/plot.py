#!/usr/bin/env python3
"""Draws the results of `flexgemm-bench suite` as PNG files. Needs matplotlib; for developers, not part of any build.

    plot.py results/suite-cuda.json --out results

For each type: times-TYPE.png, kernel times of every pass beside the baseline's, and limit-TYPE.png, the share of the
limit that each pass reaches. times-networks.png: map and networks beside the baseline's.
"""
import argparse
import json
import pathlib
import sys

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

OURS = "#1f6f8b"
THEIRS = "#c9c9c9"
PASSES = ["forward", "grad_input", "grad_weight"]
PASS_COLORS = {"forward": "#1f6f8b", "grad_input": "#e08e45", "grad_weight": "#7a9e7e"}


def main_time(row):
    """Median ms that tables compare: of graph replays where they exist."""
    return row.get("graph_ms", row.get("call_ms"))["median"]


def baseline_time(row):
    baseline = row.get("baseline", {})
    return baseline.get("kernel_ms" if "graph_ms" in row else "call_ms")


def label(row):
    return f"{row['scene']}\nC={row['channels']}"


def plain_axes(axes, title, ylabel):
    axes.set_title(title, loc="left", fontsize=11)
    axes.set_ylabel(ylabel)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#e5e5e5", linewidth=0.7)
    axes.set_axisbelow(True)


def draw_against_baseline(axes, rows, title, system):
    positions = range(len(rows))
    theirs = [baseline_time(row) for row in rows]
    paired = any(theirs)
    width = 0.4 if paired else 0.6
    shift = width / 2 if paired else 0
    axes.bar([p - shift for p in positions], [main_time(row) for row in rows], width, color=OURS, label="this project")
    if paired:
        known = [(p, time) for p, time in zip(positions, theirs) if time]
        axes.bar([p + shift for p, _ in known], [time for _, time in known], width, color=THEIRS, label=system)
    for position, row, time in zip(positions, rows, theirs):
        if time:
            axes.annotate(f"{time / main_time(row):.2f}x", (position, max(time, main_time(row))), ha="center",
                          va="bottom", fontsize=8, xytext=(0, 2), textcoords="offset points")
    axes.set_yscale("log")
    axes.set_xticks(list(positions), [label(row) for row in rows], fontsize=8)
    axes.margins(y=0.15)
    plain_axes(axes, title, "ms (log scale)")
    axes.legend(frameon=False, fontsize=8)


def draw_times(rows, dtype, system, folder):
    passes = [op for op in PASSES if any(row["op"] == op for row in rows)]
    count = max(sum(row["op"] == op for row in rows) for op in passes)
    figure, axes = plt.subplots(len(passes), 1, figsize=(max(6, 0.85 * count + 2), 3.4 * len(passes)), squeeze=False)
    for op, axis in zip(passes, axes[:, 0]):
        draw_against_baseline(axis, [row for row in rows if row["op"] == op], f"{op}, {dtype}", system)
    save(figure, folder / f"times-{dtype}.png")


def draw_limits(rows, dtype, folder):
    rows = [row for row in rows if "percent_of_limit" in row]
    if not rows:
        return
    passes = [op for op in PASSES if any(row["op"] == op for row in rows)]
    labels = list(dict.fromkeys(label(row) for row in rows))
    figure, axes = plt.subplots(figsize=(max(6, 0.85 * len(labels) + 2), 3.6))
    width = 0.8 / len(passes)
    for number, op in enumerate(passes):
        found = {label(row): row["percent_of_limit"] for row in rows if row["op"] == op}
        places = [p + (number - (len(passes) - 1) / 2) * width for p, name in enumerate(labels) if name in found]
        bars = axes.bar(places, [found[name] for name in labels if name in found], width, color=PASS_COLORS[op],
                        label=op)
        axes.bar_label(bars, fmt="%.0f", fontsize=7)
    axes.set_xticks(range(len(labels)), labels, fontsize=8)
    axes.set_ylim(0, 100)
    plain_axes(axes, f"share of the least possible time, {dtype}", "% of the limit")
    axes.legend(frameon=False, fontsize=8)
    save(figure, folder / f"limit-{dtype}.png")


def draw_networks(rows, system, folder):
    dtypes = list(dict.fromkeys(row["dtype"] for row in rows))
    kinds = [(op, dtype) for op in ("map", "net_inference", "net_train_step") for dtype in dtypes
             if any(row["op"] == op and row["dtype"] == dtype for row in rows)]
    if not kinds:
        return
    count = max(sum((row["op"], row["dtype"]) == kind for row in rows) for kind in kinds)
    figure, axes = plt.subplots(len(kinds), 1, figsize=(max(6, 0.85 * count + 2), 3.2 * len(kinds)), squeeze=False)
    titles = {"map": "map with layout", "net_inference": "inference net", "net_train_step": "training step"}
    for kind, axis in zip(kinds, axes[:, 0]):
        chosen = [row for row in rows if (row["op"], row["dtype"]) == kind]
        draw_against_baseline(axis, chosen, f"{titles[kind[0]]}, {kind[1]}", system)
    save(figure, folder / "times-networks.png")


def save(figure, path):
    figure.tight_layout()
    figure.savefig(path, dpi=130)
    plt.close(figure)
    print(path)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=pathlib.Path, help="suite-cuda.json or suite-cpu.json")
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("."), help="folder for the PNG files")
    arguments = parser.parse_args()
    results = json.loads(arguments.results.read_text())
    if not str(results.get("format", "")).startswith("flexgemm-bench "):
        sys.exit(f"{arguments.results} is not the results of flexgemm-bench suite")
    arguments.out.mkdir(parents=True, exist_ok=True)
    system = results.get("baseline", "baseline").split(",")[0].split("(")[0].strip()
    rows = [row for row in results["rows"] if "failed" not in row]
    for dtype in dict.fromkeys(row["dtype"] for row in rows):
        passes = [row for row in rows if row["dtype"] == dtype and row["op"] in PASSES]
        if passes:
            draw_times(passes, dtype, system, arguments.out)
            draw_limits(passes, dtype, arguments.out)
    draw_networks(rows, system, arguments.out)


if __name__ == "__main__":
    main()
