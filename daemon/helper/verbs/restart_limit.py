"""How often a service may be started before systemd gives up on it: a drop-in of our own."""

from __future__ import annotations

from daemon.helper import drop_ins, units
from daemon.helper.arguments import Arguments
from daemon.helper.context import Context, Done, Verb
from daemon.helper.errors import RefusedError

DROP_IN = "50-triaged-restart-limit.conf"

_CONTENT = """\
# Written by triaged. It may be removed at any time; then: systemctl daemon-reload
[Unit]
StartLimitBurst={burst}
StartLimitIntervalSec={seconds}
"""


def _run(arguments: Arguments, context: Context) -> Done:
    change = arguments.choice("change", ("raise", "lower"))
    unit = arguments.text("unit", units.NAME)
    if not unit.endswith(".service"):
        raise RefusedError(f"{unit} is not a service")
    content = _content(arguments) if change == "raise" else None
    arguments.end()
    folder = context.config.drop_ins
    with context.lock(f"unit {unit}"):
        units.changeable(unit, context.programs, context.config.critical_units)
        if content is not None:
            drop_ins.write(folder, unit, DROP_IN, content)
        else:
            drop_ins.remove(folder, unit, DROP_IN)
        units.reload(context.programs)
    done = "wrote" if content is not None else "removed"
    return Done(detail=f"{done} {folder}/{unit}.d/{DROP_IN}")


def _content(arguments: Arguments) -> str:
    burst = arguments.whole("burst", least=2, most=50)
    seconds = arguments.whole("seconds", least=10, most=3600)
    return _CONTENT.format(burst=burst, seconds=seconds)


RESTART_LIMIT = Verb(name="restart-limit", seconds=120.0, run=_run)
