"""What the table says of the machine that it was measured on."""
import os
import platform
import resource
import time
from pathlib import Path

_NOISE = 0.05  # a share of the processors that others may take


def describe(threads):
    """The processor and its memory, in a line."""
    info = Path("/proc/cpuinfo").read_text()
    first = dict(line.split(":", 1) for line in info.split("\n\n")[0].splitlines() if ":" in line)
    of = {key.strip(): value.strip() for key, value in first.items()}
    flags = of.get("flags", "").split()
    has = [name for name in ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_tile") if name in flags]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (f"{of.get('model name', platform.machine())}, {os.cpu_count()} cores, {' '.join(has)}, {memory:.0f} GiB; "
            f"{threads} threads for every side")


class OtherWork:
    """What else ran on the processors since this was made, the hypervisor's other guests included."""

    def __init__(self):
        self._began, self._busy, self._own = time.monotonic(), self._busy_seconds(), self._own_seconds()

    @staticmethod
    def _busy_seconds():
        user, nice, system, _, _, interrupts, soft, stolen = (
            int(x) for x in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9])
        return (user + nice + system + interrupts + soft + stolen) / os.sysconf("SC_CLK_TCK")

    @staticmethod
    def _own_seconds():
        """This process and those of its children that have ended."""
        used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        return sum(u.ru_utime + u.ru_stime for u in used)

    def share(self):
        """Of the time of all processors; call it when all sides are closed."""
        others = self._busy_seconds() - self._busy - (self._own_seconds() - self._own)
        return max(0.0, others / ((time.monotonic() - self._began) * os.cpu_count()))

    def doubt(self):
        """A sentence, or nothing where the machine was quiet."""
        share = self.share()
        if share <= _NOISE:
            return ""
        return f"Other work took {100 * share:.0f} % of the processors: these ratios are noise."
