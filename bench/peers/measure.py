"""Runs the sides of a group in turns, checks their outputs, and makes ratios of their times."""
import statistics
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import models
import rows
import sides
import starting

_WITHOUT_OUTPUT = ("memory", "weights", "attention", "classify", "version", "libtorch")
_TURN = 0.25  # seconds that a side has at once; a run that takes longer has its time


@dataclass
class Result:
    """A line of the table."""
    line: rows.Line
    ours: float = None  # in the line's unit
    peer: float = None
    way: str = ""  # the peer's fastest
    ratio: float = None  # median; above 1: Tessera is faster
    low: float = None
    high: float = None
    cosine: float = None  # of our output
    problem: str = ""  # why there is no ratio

    @property
    def met(self):
        """True or False where a bar is set and could be judged, else None."""
        return None if self.line.bar is None or self.problem else self.ratio >= self.line.bar


def cosine(ours, reference, vectors):
    """The smallest cosine of any of the vectors that both consist of."""
    if ours.size != reference.size:
        return 0.0
    a, b = (x.reshape(vectors, -1).astype(np.float64) for x in (ours, reference))
    sizes = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    value = float(((a * b).sum(1) / np.where(sizes == 0, 1, sizes)).min())
    return value if np.isfinite(value) else 0.0  # NaN is no agreement


def _vectors(row):
    """How many sequences or pictures a row's output is of."""
    return int(row.split("-")[1]) if row.startswith("batch-") else models.SEQUENCES if row == "decode-many" else 1


def _say(text):
    print(text, file=sys.stderr, flush=True)


class Running:
    """The sides of a group, and what became of each of their rows."""

    def __init__(self, group, folder, config, threads, log):
        self._context = (group, folder, config, threads, log)
        self._temporary = tempfile.TemporaryDirectory(prefix="tessera-bench-peers-")
        self._folder = Path(self._temporary.name)
        self.sides, self.problems, self.cosines, self.times = {}, {}, {}, {}
        self.amounts = {}  # GFLOP or GB of a run, of a side that says so
        self.names = set()
        names = [(side, row) for line in group.lines
                 for side, row in [(line.ours, line.row)] + [(p, line.peer_row or line.row) for p in line.peers]]
        # In the order of the lines: memory is what it came to after the steps.
        self.rows = {row: [s for s, r in dict.fromkeys(names) if r == row] for _, row in names}

    def __enter__(self):
        self._check_reference()
        for side in dict.fromkeys(side for row in self.rows.values() for side in row):
            self._try(side, "", lambda: self._start(side))
        return self

    def __exit__(self, *_):
        for side in self.sides.values():
            side.close()
        self._temporary.cleanup()

    def _start(self, side):
        _say(f"  {' '.join(part for part in side if part)}")
        self.sides[side] = starting.start(side, *self._context)
        if side.program != rows.MACHINE:
            self.names.add(self.sides[side].name)
        self.amounts[side] = self.sides[side].ready.get("amount")

    def _check_reference(self):
        """What all outputs are compared with; its process is gone before the others start."""
        compared = [row for row in self.rows if row not in _WITHOUT_OUTPUT]
        self._expected = {}
        if not compared:
            return
        reference = starting.start(rows.REFERENCE, *self._context)
        try:
            self._expected = {row: reference.output(row, self._folder / "output") for row in compared}
        finally:
            reference.close()

    def _try(self, side, row, work):
        """Does the work; where it fails, the process has ended, and what it has not done yet is missing."""
        try:
            return work()
        except (sides.Failed, OSError) as error:
            self.sides.pop(side, None)
            for name in self.rows:
                if name == row or (side, name) not in self.times:
                    self.problems.setdefault((side, name), f"missing: {error}")

    def _alive(self, row):
        return [side for side in self.rows[row] if side in self.sides and (side, row) not in self.problems]

    def check(self, row):
        """Compares what the sides compute for a row; who differs is not timed."""
        if row not in self._expected:
            return
        for side in self._alive(row):
            if side.program == rows.MACHINE:
                continue
            result = self._try(side, row, lambda: self.sides[side].output(row, self._folder / "output"))
            if result is None:
                continue
            agreement = self.cosines[side, row] = cosine(result, self._expected[row], _vectors(row))
            needed = rows.GRADIENT_TOLERANCE if row == "step" else rows.TOLERANCE[side.precision]
            if agreement < needed:
                self.problems[side, row] = f"differs: cosine {agreement:.4f}"

    def measure(self, row, rounds):
        """Times the sides of a row in turns; each round another one comes first."""
        once = {side: self._try(side, row, lambda: self.sides[side].measure(row, 1)) for side in self._alive(row)}
        runs = {side: max(1, min(20, int(1000 * _TURN / ms[0]))) for side, ms in once.items() if ms}
        for i in range(rounds):
            order = self._alive(row)
            for side in order[i % len(order):] + order[:i % len(order)] if order else []:
                ms = self._try(side, row, lambda: self.sides[side].measure(row, runs[side]))
                if ms:
                    self.times.setdefault((side, row), []).append(statistics.median(ms))

    def result(self, line):
        """The line against the fastest way of its peer that can be believed."""
        result = Result(line, cosine=self.cosines.get((line.ours, line.row)))
        row = line.peer_row or line.row
        problem = self.problems.get((line.ours, line.row))
        ways = [side for side in line.peers if (side, row) not in self.problems]
        if problem or not ways:
            result.problem = f"ours {problem}" if problem else self.problems[line.peers[0], row]
            return result
        ours = self.times[line.ours, line.row]
        best = min(ways, key=lambda side: statistics.median(self.times[side, row]))
        peer = self.times[best, row]
        amount = line.work or self.amounts[line.ours]
        other = line.peer_work or (self.amounts[best] if best.program == rows.MACHINE else amount)
        ratios = [(amount / a) / (other / b) for a, b in zip(ours, peer)]
        value = (lambda ms, work: 1000 * work / ms) if line.unit in rows.RATES else (lambda ms, _: ms)
        result.ours, result.peer = value(statistics.median(ours), amount), value(statistics.median(peer), other)
        result.way = best.variant
        result.ratio, result.low, result.high = statistics.median(ratios), min(ratios), max(ratios)
        return result


def run_group(group, folder, config, threads, rounds, log):
    """(results, names and versions of who ran) of a group."""
    with Running(group, folder, config, threads, log) as running:
        for row in running.rows:
            _say(f"  {row}")
            running.check(row)
            running.measure(row, rounds)
        return [running.result(line) for line in group.lines], running.names


def limits(threads, rounds, log):
    """What the machine can do, name -> (unit, median, lowest, highest): GFLOP/s of large products, GB/s of memory."""
    side, found = starting.start_limits(threads, log), {}
    try:
        for name, amount in side.ready["amounts"].items():
            rates = [1000 * amount / ms for ms in side.measure(name, 2 + 3 * rounds)[2:]]
            unit = "GB/s" if name == "read" else "GFLOP/s"
            found[name] = unit, statistics.median(rates), min(rates), max(rates)
    finally:
        side.close()
    return found
