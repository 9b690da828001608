"""`python -I -m daemon.helper`, as the unit starts it: no setting of the environment's counts."""

from daemon.helper.main import entry

entry()
