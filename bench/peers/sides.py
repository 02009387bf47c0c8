"""The protocol of `make bench-peers`: every side is a process that holds one model in one precision.

Its only argument is its settings, a JSON object: "folder" (of models.py), "threads", "batches" or "context" and "steps",
and what that side needs besides. When it is ready, it prints {"ready": name and version}. Then it reads
requests, a line of JSON each, and answers with a line:
  {"row": name, "runs": 3}         -> {"values": [12.1, 12.0, 12.3]}: milliseconds; of "memory" and "weights": MB
  {"row": name, "output": path}    -> {"written": path}: the result as packed float32 numbers
What cannot be done is {"error": why}, and the process ends. Lines of other kinds are noise of libraries.
"""
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np


def row_of(run):
    """The two functions of a row that is one call: its milliseconds and its result."""

    def timed():
        begin = time.perf_counter()
        run()
        return 1000 * (time.perf_counter() - begin)

    return timed, run


def peak_megabytes(anew=False):
    """How large this process has stood at most, since it began or since `anew` was asked for."""
    if anew:
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")
    with open("/proc/self/status") as file:
        return next(float(line.split()[1]) / 1024 for line in file if line.startswith("VmHWM:"))


def serve(load):
    """A side in Python. load(settings) -> (name and version, {row: (measure() -> number, output() -> numbers)})"""

    def say(line):
        print(json.dumps(line), flush=True)

    try:
        name, rows = load(json.loads(sys.argv[1]))
        say({"ready": name})
        for line in sys.stdin:
            request = json.loads(line)
            measured, output = rows[request["row"]]
            if "output" in request:
                np.asarray(output(), np.float32).tofile(request["output"])
                say({"written": request["output"]})
            else:
                say({"values": [measured() for _ in range(request["runs"])]})
    except Exception as error:  # whatever a peer throws is an answer: that it cannot
        say({"error": f"{type(error).__name__}: {error}"})
        sys.exit(1)


class Failed(Exception):
    """A side that cannot do what it was asked; it has ended."""


class Side:
    """The other end of the protocol. Between requests the process is stopped, so that threads which wait by spinning
    take nothing from the side whose turn it is."""

    def __init__(self, command, settings, log):
        # Its end is bound to ours: a stopped process would not notice that nobody asks it any more.
        self._process = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", *command, json.dumps(settings)],
                                         stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True)
        self.ready = self._answer()
        self.name = self.ready["ready"]
        self._stop()

    def measure(self, row, runs):
        """Milliseconds (or MB) of each of the runs."""
        return self._ask({"row": row, "runs": runs})["values"]

    def output(self, row, path):
        """All numbers of the row's result."""
        self._ask({"row": row, "output": str(path)})
        try:
            return np.fromfile(path, np.float32)
        finally:
            os.remove(path)

    def close(self):
        self._process.kill()
        self._process.wait()

    def _stop(self):
        self._process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self._process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)  # or has ended

    def _ask(self, request):
        self._process.send_signal(signal.SIGCONT)
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise Failed(f"it ended with status {self._process.wait()}")
        answer = self._answer()
        self._stop()
        return answer

    def _answer(self):
        for line in self._process.stdout:
            try:
                answer = json.loads(line)
            except ValueError:
                continue
            if not isinstance(answer, dict):
                continue
            if "error" in answer:
                self.close()
                raise Failed(answer["error"])
            return answer
        raise Failed(f"it ended with status {self._process.wait()}")


class Limit:
    """What the machine can do at most, as the side that runs against a model: its every row is the same."""

    def __init__(self, side, name):
        self._side, self._name = side, name
        self.name, self.ready = side.name, {"amount": side.ready["amounts"][name]}

    def measure(self, _, runs):
        return self._side.measure(self._name, runs)

    def close(self):
        self._side.close()
