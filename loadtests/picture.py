"""One picture of a run: what was asked for and answered above, how long it took below, over time."""

from collections.abc import Sequence
from typing import Any

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.ticker import FuncFormatter

from loadtests.promises import Stage

STEP_S = 5  # Locust keeps one row of history every five seconds
FLOOR_MS = 1.0  # below it, latencies are drawn as this much: the axis is logarithmic
BLUE, RED, GREY, ORANGE = (
    "#1f5fa8",
    "#b3261e",
    "#6b7280",
    "#d97706",
)  # told apart by a colour-blind eye, and by line styles


def draw(history: Sequence[dict[str, Any]], file: str, title: str, stages: Sequence[Stage], promised_ms: float) -> None:
    """Draw Locust's history as a PNG: rates in requests per second, latencies in ms. An empty history draws empty axes."""
    seconds = [STEP_S * row for row in range(len(history))]

    def series(key: str) -> list[float]:
        # Locust keeps each value as (time, value) so that its own charts can place it.
        return [float(v[1] if isinstance(v := row.get(key, 0), list | tuple) else v or 0) for row in history]

    figure, (above, below) = plt.subplots(2, 1, sharex=True, figsize=(10, 6.5), layout="constrained")
    figure.suptitle(title, fontsize=14, fontweight="bold", x=0.01, ha="left")

    edges = [0.0, *(stage.until_s for stage in stages)]
    above.stairs(
        [stage.rate for stage in stages], edges, color=GREY, linestyle=":", linewidth=1.5, label="tasks asked for"
    )
    above.plot(seconds, series("current_rps"), color=BLUE, linewidth=2, label="requests answered")
    failures = series("current_fail_per_sec")
    above.fill_between(seconds, failures, color=RED, alpha=0.35, label="of these, failed")
    above.plot(seconds, failures, color=RED, linewidth=1)
    above.set_ylabel("per second")
    above.set_ylim(bottom=0)

    for key, name, look in (("0.5", "median", {"color": BLUE}), ("0.95", "95th percentile", {"color": ORANGE})):
        taken = [max(value, FLOOR_MS) for value in series(f"response_time_percentile_{key}")]
        below.plot(seconds, taken, linewidth=2, label=name, **look)
    below.axhline(
        promised_ms,
        color=RED,
        linestyle="--",
        linewidth=1.5,
        label=f"promised, unless said otherwise: {promised_ms:.0f} ms",
    )
    below.set_yscale("log")
    below.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    below.set_ylabel("milliseconds, all operations")
    below.set_xlabel("seconds since the start")
    below.set_xlim(0, edges[-1])
    for axes in (above, below):
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3, frameon=False, borderaxespad=0.2)
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(file, dpi=110)
    plt.close(figure)
