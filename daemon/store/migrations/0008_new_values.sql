-- Who is named by what is not yet counted on an incident: rows of (what, value, count), appended by
-- the intake commit. Whoever takes "unattached" takes them too.
alter table patterns add column unattached_values jsonb not null default '[]';
-- The same since the incident was opened, came back, or was settled by an answer, with the number of
-- occurrences; and as it was when the answer was given.
alter table incident_patterns
  add column recent_count bigint not null default 0,
  add column recent_values jsonb not null default '[]',
  add column answered_values jsonb not null default '[]';
