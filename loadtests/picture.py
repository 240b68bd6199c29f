"""One picture of a run: throughput above, latency below, over time."""

from collections.abc import Sequence
from typing import Any

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot as plt


def draw(history: Sequence[dict[str, Any]], file: str, title: str) -> None:
    """Draw Locust's history (one row every five seconds) as a PNG. An empty history draws empty axes."""
    seconds = [5 * i for i in range(len(history))]

    def series(key: str) -> list[float]:
        # Locust keeps each value as (time, value) so that its own charts can place it.
        return [float(v[1] if isinstance(v := row.get(key, 0), list | tuple) else v or 0) for row in history]

    figure, (above, below) = plt.subplots(2, 1, sharex=True, figsize=(10, 6), layout="constrained")
    above.set_title(f"{title}: what the front door did")
    above.plot(seconds, series("current_rps"), label="requests per second")
    above.plot(seconds, series("current_fail_per_sec"), label="failures per second", color="tab:red")
    above.plot(seconds, series("user_count"), label="users", color="tab:gray", linestyle=":")
    below.plot(seconds, series("response_time_percentile_0.5"), label="median, ms")
    below.plot(seconds, series("response_time_percentile_0.95"), label="p95, ms")
    below.set_xlabel("seconds")
    for axes in (above, below):
        axes.legend(loc="upper left")
        axes.set_ylim(bottom=0)
        axes.grid(alpha=0.3)
    figure.savefig(file, dpi=110)
    plt.close(figure)
