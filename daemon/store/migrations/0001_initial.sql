-- Everything that triaged knows. Times are timestamptz, identities bigint, closed word lists text
-- with a check. Big, old-first tables (events, metrics) are partitioned by day, or hypertables where
-- TimescaleDB with its Community licence is present; the code that makes partitions decides.

-- Where each source resumes. Written in the transaction that commits its events.
create table cursors (
  source      text primary key,
  cursor      jsonb,                       -- null: taken over, nothing committed yet
  -- Fencing: whoever takes the source over counts up; a writer with an older number is refused.
  generation  bigint not null default 0,
  owner       text,
  updated_at  timestamptz not null default now()
);

-- One row for each group of batches that was committed, written first in its transaction. A writer
-- that lost the connection during the commit finds here whether it happened. Kept for a day.
create table intake_commits (
  id          uuid primary key,
  result      jsonb not null default '{}',
  at          timestamptz not null default now()
);
create index intake_commits_age on intake_commits using brin (at);

-- received = stored + folded + dropped, per source, in the transaction that commits the events.
create table intake_counters (
  source      text primary key,
  received    bigint not null default 0,
  stored      bigint not null default 0,
  folded      bigint not null default 0,
  dropped     bigint not null default 0,
  constraint accounting_closes check (received = stored + folded + dropped)
);

create table drops (
  source      text not null,
  reason      text not null,
  count       bigint not null,
  last_at     timestamptz not null default now(),
  primary key (source, reason)
);

-- The masked form of events. Never deleted while an incident names it.
create table patterns (
  fingerprint  text primary key check (fingerprint ~ '^[0-9a-f]{16}$'),
  source_kind  text not null,
  unit         text not null,
  pattern      text not null,
  sample       text not null,
  provenance   text not null check (provenance in ('kernel','systemd','measured','operator','text')),
  count        bigint not null default 0,
  first_seen   timestamptz not null,
  last_seen    timestamptz not null,
  -- usual rate, events per minute: an exponentially weighted mean, and when it was last brought up to date
  rate         double precision not null default 0,
  rate_at      timestamptz not null,
  -- usual gap between occurrences in seconds, for "silent for its usual gap"
  usual_gap    double precision,
  -- the most that came within 60 seconds since the last verdict, and when that verdict was asked for
  burst        integer not null default 0,
  judged_burst integer not null default 0,
  top_values   jsonb not null default '[]',
  -- occurrences not yet counted on an incident: the upsert adds to it, the verdict or the attaching step
  -- sets it back to 0 in the transaction that counts them (or decides that they are nothing)
  unattached   bigint not null default 0,
  -- what rules say: cannot be lowered by a model
  floor        text not null default 'info' check (floor in ('info','notice','warning','critical')),
  rule         text,
  -- what belongs together: the rule's key, or unit and category once judged
  correlation  text,
  -- the verdict in force (null: not judged yet), and why it is to be judged (again)
  verdict_id   bigint,
  judge_reason text,
  -- which daemon asks the trigger tier, and until when nobody else does
  judge_owner  text,
  judge_until  timestamptz
);
create index patterns_to_judge on patterns (last_seen) where judge_reason is not null;
create index patterns_to_attach on patterns (last_seen) where unattached > 0;
create index patterns_unit on patterns (unit, last_seen desc);

-- Masked texts that were generalised into a pattern that has another text.
create table pattern_aliases (
  source_kind  text not null,
  unit         text not null,
  masked       text not null,
  fingerprint  text not null references patterns on delete cascade,
  primary key (source_kind, unit, masked)
);

create table verdicts (
  id           bigint generated always as identity primary key,
  fingerprint  text not null references patterns on delete cascade,
  reason       text not null,            -- new, rate, rule, age, unmuted
  escalate     boolean not null,
  probability  double precision not null,
  severity     text not null check (severity in ('info','notice','warning','critical')),
  category     text not null,
  urgency      text not null,
  model        text not null,            -- "rule" where no model was asked
  endpoint     text not null,
  prompt_tokens integer not null,
  completion_tokens integer not null,
  seconds      double precision not null,
  at           timestamptz not null default now()
);
create index verdicts_fingerprint on verdicts (fingerprint, id desc);
alter table patterns add foreign key (verdict_id) references verdicts on delete set null;

-- Events kept whole: the first of each pattern, samples of repeats, everything in an incident's window.
create table events (
  id           bigint generated always as identity,
  observed_at  timestamptz not null default now(),
  occurred_at  timestamptz not null,
  source       text not null,
  source_kind  text not null,
  unit         text not null,
  provenance   text not null,
  fingerprint  text not null,
  priority     smallint,
  text         text not null,
  attributes   jsonb,
  primary key (observed_at, id)
) partition by range (observed_at);
create index events_time on events using brin (observed_at);
create index events_fingerprint on events (fingerprint, observed_at desc);
-- Raises the alarm "partitions were not made ahead" when it holds rows.
create table events_default partition of events default;

-- Keys of events that have one, so that redelivery is harmless. Unpartitioned on purpose.
create table event_keys (
  source      text not null,
  key         text not null,
  seen_at     timestamptz not null default now(),
  primary key (source, key)
);
create index event_keys_age on event_keys using brin (seen_at);

create table mutes (
  id           bigint generated always as identity primary key,
  fingerprint  text references patterns on delete cascade,
  unit         text,
  contains     text,                     -- words that the event's text must contain
  reason       text not null,
  created_by   text not null,
  created_at   timestamptz not null default now(),
  expires_at   timestamptz,
  -- rises again when more than this many occur in an hour, or when the severity floor reaches this
  max_per_hour integer,
  max_severity text check (max_severity in ('info','notice','warning','critical')),
  lifted_at    timestamptz,
  lifted_why   text,
  check (num_nonnulls(fingerprint, unit, contains) > 0)
);

-- States and transitions: daemon/escalation/states.py.
create table incidents (
  id           bigint generated always as identity primary key,
  state        text not null check (state in
                 ('open','reviewing','escalated','planning','watching','attention','closed')),
  severity     text not null check (severity in ('info','notice','warning','critical')),
  category     text not null,
  title        text not null,
  unit         text not null,
  correlation  text not null,            -- what belongs together; at most one live incident each
  parent_id    bigint references incidents,
  opened_at    timestamptz not null default now(),
  updated_at   timestamptz not null default now(),
  last_event_at timestamptz not null default now(),
  closed_at    timestamptz,
  close_reason text,
  reopened     integer not null default 0,
  event_count  bigint not null default 0,
  condition    jsonb,                    -- what has to be measured as gone; daemon/escalation/conditions.py
  assessed     boolean not null default false, -- a model looked at it; false is shown as such
  holistic     boolean not null default false,
  -- the lease
  lease_owner  text,
  lease_until  timestamptz,
  fence        bigint not null default 0,
  attempts     integer not null default 0,
  next_at      timestamptz not null default now(),
  deadline     timestamptz
);
create unique index incidents_live_correlation on incidents (correlation) where state <> 'closed';
create index incidents_work on incidents (next_at) where state in ('open','reviewing','escalated','planning');
create index incidents_watch on incidents (updated_at) where state in ('watching','attention');
create index incidents_opened on incidents (opened_at desc);

create table incident_patterns (
  incident_id  bigint not null references incidents on delete cascade,
  fingerprint  text not null references patterns,
  count        bigint not null default 0,
  first_at     timestamptz not null,
  last_at      timestamptz not null,
  top_values   jsonb not null default '[]',
  primary key (incident_id, fingerprint)
);
create index incident_patterns_fingerprint on incident_patterns (fingerprint);

create table evidence (
  incident_id  bigint not null references incidents on delete cascade,
  ref          text not null,            -- E1, E2, ... in order of arrival, never used again
  provenance   text not null,
  source       text not null,
  text         text not null,
  at           timestamptz not null,
  count        bigint not null default 1,
  fingerprint  text,
  primary key (incident_id, ref)
);

create table assessments (
  id           bigint generated always as identity primary key,
  incident_id  bigint not null references incidents on delete cascade,
  tier         text not null check (tier in ('review','meta')),
  cause        text not null,
  severity     text not null,
  disposition  text not null,
  confidence   double precision not null,
  summary      text not null,
  evidence     text[] not null,
  actions      jsonb not null default '[]',
  advice       text[] not null default '{}',
  success      text,
  tool_calls   jsonb not null default '[]',
  repaired     boolean not null,
  model        text not null,
  endpoint     text not null,
  prompt_tokens integer not null,
  completion_tokens integer not null,
  seconds      double precision not null,
  at           timestamptz not null default now()
);
create index assessments_incident on assessments (incident_id, id);

-- Append-only and hash-chained: every decision and every effect.
create table ledger (
  seq          bigint primary key,
  at           timestamptz not null,
  kind         text not null,            -- verdict, transition, assessment, plan, mute, review, ...
  actor        text not null,            -- daemon, tier/review, operator:<name>, ...
  incident_id  bigint,
  body         json not null,            -- json, not jsonb: its exact text is what was hashed
  prev_hash    bytea not null,
  hash         bytea not null
);
create index ledger_incident on ledger (incident_id, seq) where incident_id is not null;
create index ledger_kind on ledger (kind, seq);

-- A second fence behind the hash chain: nobody changes the past by mistake.
create function ledger_is_append_only() returns trigger language plpgsql as $$
begin
  raise exception 'the ledger is append-only: % is refused', tg_op;
end $$;
create trigger ledger_append_only before update or delete or truncate on ledger
  for each statement execute function ledger_is_append_only();

create table reviews (
  id           bigint generated always as identity primary key,
  started_at   timestamptz not null,
  finished_at  timestamptz,
  since        timestamptz not null,
  trigger      text not null,            -- schedule, operator, burst
  looked_at    jsonb not null default '{}',
  summary      text,
  incidents    bigint[] not null default '{}',
  error        text,
  model        text,
  prompt_tokens integer,
  completion_tokens integer,
  seconds      double precision
);

create table metrics (
  at           timestamptz not null default now(),
  name         text not null,
  target       text not null default '',
  value        double precision not null
) partition by range (at);
create index metrics_time on metrics using brin (at);
create index metrics_name on metrics (name, target, at desc);
create table metrics_default partition of metrics default;
