"""drain3, the peer of `daemon.intake.patterns`, in three configurations.

`same` masks the kinds of values that `daemon.intake` masks, written as drain3's own masking
instructions, one regular expression per kind; `usual` masks addresses, hexadecimal and decimal
numbers, as its documentation suggests; `plain` masks nothing. All else is drain3's default.
"""

from __future__ import annotations

from drain3 import TemplateMiner  # type: ignore[import-untyped]
from drain3.masking import MaskingInstruction  # type: ignore[import-untyped]
from drain3.template_miner_config import TemplateMinerConfig  # type: ignore[import-untyped]

_START, _END = r"(?<![A-Za-z0-9_])", r"(?![A-Za-z0-9_])"

USUAL = (
    (rf"{_START}(?:[0-9a-f]{{2,}}:){{3,}}[0-9a-f]{{2,}}{_END}", "MAC"),
    (rf"{_START}\d{{1,3}}(?:\.\d{{1,3}}){{3}}{_END}", "IP"),
    (rf"{_START}0x[0-9a-fA-F]+{_END}", "HEX"),
    (rf"{_START}[0-9a-f]{{6,}}(?: [0-9a-f]{{6,}}){{2,}}{_END}", "SEQ"),
    (rf"{_START}[-+]?\d+{_END}", "NUM"),
)

_MONTH = "(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
_ENDING = "(?:com|net|org|edu|gov|io|de|fr|uk|ru|cn|jp|br|pl)"
SAME = (
    (r"[A-Za-z][A-Za-z0-9+.-]{1,15}://[^\s\"'<>|()\[\]{},;]+", "URL"),
    (r"[\w.+$-]+@[\w-]+(?:[.:/][\w-]+)*", "EMAIL"),
    (r"(?<!\w)[A-Za-z]:\\[^\s\"'<>|,;()]*", "PATH"),
    (r"(?<![\w/)\]>.])(?:~|\.{1,2})?/[^\s\"'<>|()\[\]{},;:]*", "PATH"),
    (rf"(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) )?{_MONTH} +\d+ \d\d:\d\d:\d\d(?: \d{{4}})?", "TIME"),
    (r"(?<![\w-])[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}(?![\w-])", "UUID"),
    (r"(?<![\w:.])(?:[0-9A-Fa-f]{1,4}:){5,7}[0-9A-Fa-f]{1,4}(?!\w)", "MAC"),
    (r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?![\w.])", "IP"),
    (r"(?<![\w:.])\d+(?::\d+){1,3}(?!\w)", "TIME"),
    (rf"(?<![\w.-])(?:[a-z0-9_-]+\.)+{_ENDING}(?!\w)", "HOST"),
    (r"(?<=[Ii]nvalid user )\S+|(?<=for user )\S+", "USER"),
    (r"(?<!\w)0x[0-9a-fA-F]+(?!\w)|(?<!\w)[0-9a-f]{8,}(?!\w)", "HEX"),
    (r"[-+]?\w*\d\w*(?:[.-]\w+)*%?", "NUM"),
)  # fmt: skip

CONFIGURATIONS = {"same": SAME, "usual": USUAL, "plain": ()}


class Drain:
    """One miner. `add` returns the cluster of a line."""

    def __init__(self, configuration: str) -> None:
        config = TemplateMinerConfig()
        config.masking_instructions = [
            MaskingInstruction(pattern, name) for pattern, name in CONFIGURATIONS[configuration]
        ]
        self._add = TemplateMiner(config=config).add_log_message

    def add(self, line: str) -> int:
        cluster: int = self._add(line)["cluster_id"]
        return cluster
