"""The table of `make bench-peers`, as text, Markdown or JSON."""
import json

import rows

_HEAD = ("what", "Tessera", "compared with", "", "ratio", "lowest to highest", "bar", "met")

# What a row is compared with where that is another row of ours.
_OTHER_ROWS = {("decode-many", "decode"): "one sequence", ("attention", "batch-1"): "the whole model",
               ("file", "batch-1"): "encoding alone", ("memory", "weights"): "its weights",
               ("classify", "libtorch"): "loading LibTorch", ("version", "libtorch"): "loading LibTorch"}


def _number(value, unit):
    return f"{value:.1f} {unit}" if value < 1000 else f"{value:.0f} {unit}"


def _peer(result):
    line, side = result.line, result.line.peers[0]
    if side.program == rows.MACHINE:
        return "reading memory" if side.precision == "read" else f"a large product, {side.precision}"
    if side.program == "Tessera":
        return _OTHER_ROWS.get((line.row, line.peer_row), f"Tessera {side.precision}")
    way = f" ({result.way})" if len(result.line.peers) > 1 and result.way else ""
    return f"{side.program} {side.precision}{way}"


def _cells(result):
    line = result.line
    bar = "" if line.bar is None else f"{line.bar:g}"
    if result.problem:
        return line.name, "", _peer(result), result.problem, "", "", bar, "" if line.bar is None else "not judged"
    met = {None: "", True: "yes", False: "no"}[result.met]
    return (line.name, _number(result.ours, line.unit), _peer(result), _number(result.peer, line.unit),
            f"{result.ratio:.2f}", f"{result.low:.2f} to {result.high:.2f}", bar, met)


def markdown(results):
    """A list of lines; so are the other two."""
    lines = ["| " + " | ".join(_HEAD) + " |", "| --- | ---: | --- | ---: | ---: | ---: | ---: | --- |"]
    return lines + ["| " + " | ".join(_cells(result)) + " |" for result in results]


def text(results):
    cells = [_HEAD] + [_cells(result) for result in results]
    widths = [max(len(row[i]) for row in cells) for i in range(len(_HEAD))]
    right = (False, True, False, True, True, True, True, False)
    return ["  ".join(cell.rjust(width) if to_right else cell.ljust(width)
                      for cell, width, to_right in zip(row, widths, right)).rstrip() for row in cells]


def as_json(results):
    return [json.dumps({"name": r.line.name, "unit": r.line.unit, "ours": r.ours, "peer": _peer(r), "peer_value": r.peer,
                        "ratio": r.ratio, "lowest": r.low, "highest": r.high, "cosine": r.cosine, "bar": r.line.bar,
                        "met": r.met, "problem": r.problem or None}) for r in results]
