"""A disk of its own that is too small, or fills up while a province runs on it. Needs the right to mount one."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.clusters.local.conftest import PATIENCE_S, Province

pytestmark = pytest.mark.stack


@pytest.fixture
def disk(folder: Path) -> Iterator[Callable[[int], Path]]:
    """Mounts an empty disk of so many MiB, in memory."""
    place = folder / "disk"
    place.mkdir()

    def mount(mib: int) -> Path:
        command = ["mount", "-t", "tmpfs", "-o", f"size={mib}m,mode=755", "tmpfs", str(place)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            pytest.skip(f"no disk can be mounted here: {done.stderr.strip()}")
        return place

    yield mount
    subprocess.run(["umount", "--lazy", str(place)], capture_output=True, check=False)


def fill(disk: Path) -> Path:
    """Leave not one byte free. Returns the file that must go."""
    file = disk / "everything"
    with file.open("wb", buffering=0) as taking:
        for size in (2**20, 2**12, 1):
            try:
                while True:
                    taking.write(b"\0" * size)
            except OSError:
                continue
    return file


class TestAFullDisk:
    def test_a_disk_without_room_is_refused_before_anything_is_made(
        self, province: Province, disk: Callable[[int], Path]
    ) -> None:
        province.data = disk(64) / "data"
        said, _ = (process := province.up()).communicate(timeout=PATIENCE_S)
        assert process.returncode == 1
        assert "MiB free and 300 MiB are needed" in said
        assert {path.name for path in province.data.iterdir()} == {"logs"}

    def test_nothing_accepted_is_lost_when_it_fills_up_and_all_goes_on_once_there_is_room(
        self, province: Province, disk: Callable[[int], Path], tmp_path: Path
    ) -> None:
        heard = tmp_path / "heard"
        small = disk(400)
        province.data = small / "data"
        with heard.open("w") as output:
            process = province.up(output=output)
        before = province.until_ready()["parts"][0]
        assert province.query("CREATE TABLE river AS SELECT 'Ottawa' AS name").returncode == 0
        in_the_way = fill(small)
        refused = province.query("CREATE TABLE lake AS SELECT generate_series(1, 1000000) AS number")
        assert "No space left on device" in refused.stderr
        with contextlib.suppress(ProcessLookupError):  # it may have ended by itself: its log needs room too
            os.kill(before["pid"], signal.SIGKILL)
        province.until(lambda _: f"the disk that holds {province.data} is full. Free some space" in heard.read_text())
        os.unlink(in_the_way)
        province.until(lambda status: status["ready"] and status["parts"][0]["pid"] != before["pid"])
        assert province.query("SELECT name FROM river").stdout == "Ottawa\n"
        assert province.query("CREATE TABLE lake AS SELECT 'Nipigon' AS name").returncode == 0
        province.stop(process)
        assert process.returncode == 0
        assert "Traceback" not in heard.read_text()
        assert province.leftovers() == []
