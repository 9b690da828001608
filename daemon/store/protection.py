"""What keeps the role that the daemon connects as from changing the ledger's past.

Asked of PostgreSQL itself, whatever was meant to be set up: rights and the trigger, or the trigger
only, which an owner can switch off.
"""

from __future__ import annotations

import dataclasses

from psycopg.rows import class_row

from daemon.store.pool import Connection

# The session's role counts as well as the current one: RESET ROLE leads back to it. Belonging to
# a role is enough, because SET ROLE leads there.
INSPECT = """
select
  current_user::text as role,
  pg_get_userbyid(t.relowner)::text as owner,
  bool_or(r.rolsuper) as superuser,
  bool_or(pg_has_role(r.oid, t.relowner, 'MEMBER')) as owns_ledger,
  bool_or(pg_has_role(r.oid, n.nspowner, 'MEMBER')) as owns_schema,
  bool_or(pg_has_role(r.oid, d.datdba, 'MEMBER')) as owns_database,
  bool_or(pg_has_role(r.oid, f.proowner, 'MEMBER')) as owns_guard,
  bool_or(has_table_privilege(r.oid, t.oid, 'UPDATE')
          or has_any_column_privilege(r.oid, t.oid, 'UPDATE')) as may_update,
  bool_or(has_table_privilege(r.oid, t.oid, 'DELETE')) as may_delete,
  bool_or(has_table_privilege(r.oid, t.oid, 'TRUNCATE')) as may_truncate,
  bool_or(has_table_privilege(r.oid, t.oid, 'TRIGGER')) as may_trigger,
  bool_or(coalesce(g.tgenabled in ('O', 'A'), false)) as guarded
from pg_class t
join pg_namespace n on n.oid = t.relnamespace
join pg_database d on d.datname = current_database()
join pg_roles r on r.rolname in (session_user, current_user)
left join pg_trigger g on g.tgrelid = t.oid and g.tgname = 'ledger_append_only'
left join pg_proc f on f.oid = g.tgfoid
where t.oid = to_regclass('ledger')
group by t.relowner
"""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Protection:
    """What the role of a connection could do to the ledger, and who owns it.

    `guarded` is whether the trigger that refuses changes is there and switched on.
    """

    role: str
    owner: str
    superuser: bool
    owns_ledger: bool
    owns_schema: bool
    owns_database: bool
    owns_guard: bool | None
    may_update: bool
    may_delete: bool
    may_truncate: bool
    may_trigger: bool
    guarded: bool

    @property
    def by_rights(self) -> bool:
        """Whether the role can add to the ledger and nothing else, whatever it tries."""
        return not self.gaps

    @property
    def gaps(self) -> tuple[str, ...]:
        """What would let the role change the past, in words that follow the role's name."""
        if self.superuser:
            return ("is a superuser",)
        owned = {
            "the ledger": self.owns_ledger,
            "its schema": self.owns_schema,
            "its database": self.owns_database,
            "the trigger's function": bool(self.owns_guard),
        }
        rights = {
            "UPDATE": self.may_update,
            "DELETE": self.may_delete,
            "TRUNCATE": self.may_truncate,
            "TRIGGER": self.may_trigger,
        }
        found = []
        if names := [name for name, owns in owned.items() if owns]:
            found.append(f"owns {', '.join(names)}")
        elif names := [name for name, may in rights.items() if may]:
            found.append(f"has {', '.join(names)} on the ledger")
        return tuple(found)

    @property
    def words(self) -> str:
        """A sentence for the operator: how it is, why, and what to do."""
        if self.by_rights:
            kept = f"the role {self.role} can only add to it; it belongs to {self.owner}"
            return kept if self.guarded else f"{kept}; {_NO_TRIGGER}"
        why = f"the role {self.role} {' and '.join(self.gaps)}"
        if not self.guarded:
            return f"nothing protects it: {why}, and {_NO_TRIGGER}; {_REMEDY}"
        return f"protected by its trigger only: {why} and could switch it off; {_REMEDY}"


_NO_TRIGGER = "its trigger ledger_append_only is missing or switched off"
_REMEDY = "'The ledger' in docs/operation.md says what an administrator runs"


async def inspect(connection: Connection) -> Protection | None:
    """How the ledger is protected from this connection's role; None where there is no ledger."""
    async with connection.cursor(row_factory=class_row(Protection)) as cursor:
        await cursor.execute(INSPECT)
        return await cursor.fetchone()
