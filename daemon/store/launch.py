"""The last steps before PostgreSQL: a session of its own, another user, dying with the parent.

Run as a program of its own (`python -I -S launch.py UID GID SIGNAL PROGRAM [ARGUMENT...]`), because
code between fork and exec in a process with threads may deadlock. UID and GID are -1 to stay who we
are. SIGNAL is what the kernel sends when the parent thread ends. It imports nothing of the project
and becomes PROGRAM, keeping the process id.
"""

from __future__ import annotations

import ctypes
import os
import sys

PR_SET_PDEATHSIG = 1  # <linux/prctl.h>


def main(arguments: list[str]) -> None:
    uid, gid, death_signal = (int(word) for word in arguments[:3])
    program = arguments[3:]
    parent = os.getppid()
    # Away from the terminal's process group: Ctrl-C is for the daemon, which stops us in its order.
    os.setsid()
    os.umask(0o077)
    if uid >= 0:
        os.setgroups([gid])
        os.setresgid(gid, gid, gid)
        os.setresuid(uid, uid, uid)
    # After the change of user, which clears it (prctl(2)).
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, death_signal, 0, 0, 0) != 0:
        sys.exit(f"prctl(PR_SET_PDEATHSIG): {os.strerror(ctypes.get_errno())}")
    if os.getppid() != parent:
        sys.exit("the parent ended during the start")
    os.execv(program[0], program)  # noqa: S606 (there is no shell)


if __name__ == "__main__":
    main(sys.argv[1:])
