"""Enables or disables one unit. What it does now, it goes on doing."""

from __future__ import annotations

from daemon.helper import units
from daemon.helper.arguments import Arguments
from daemon.helper.context import Context, Done, Verb
from daemon.helper.critical import why_critical_unit
from daemon.helper.errors import RefusedError

_CHANGEABLE = frozenset({"enabled", "enabled-runtime", "disabled"})


def _run(arguments: Arguments, context: Context) -> Done:
    change = arguments.choice("change", ("enable", "disable"))
    unit = arguments.text("unit", units.NAME)
    arguments.end()
    critical = context.config.critical_units
    with context.lock(f"unit {unit}"):
        found = units.changeable(unit, context.programs, critical)
        if found.file not in _CHANGEABLE:
            raise RefusedError(f"{unit} is {found.file or 'without a file'}: nothing to {change}")
        for other in units.installed_along(unit, context.programs):
            if why := why_critical_unit(other, critical):
                raise RefusedError(f"to {change} {unit} would {change} {other} too: it is {why}")
        argv = ["systemctl", "--no-ask-password", change, "--", unit]
        context.programs.must(argv, seconds=60)
        after = units.look(unit, context.programs)
    return Done(detail=f"{unit} is {after.file}", data={"before": found.file, "after": after.file})


UNIT_FILE = Verb(name="unit-file", seconds=150.0, run=_run)
