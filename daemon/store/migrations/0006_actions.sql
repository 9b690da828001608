-- Actions on the host, from a request to a checked effect. States: daemon/actions/states.py.
create table actions (
  id            bigint generated always as identity primary key,
  host          text not null,
  kind          text not null,
  target        text not null,
  parameters    jsonb not null default '{}',
  content_hash  text not null check (content_hash ~ '^[0-9a-f]{64}$'),
  sentence      text not null,             -- what it does, in words made by code
  incident_id   bigint references incidents on delete set null,
  origin        text not null check (origin in ('tier','chat','operator','inverse')),
  requested_by  text not null,             -- tier/review, chat:alice via webui, ...
  reason        text not null,             -- the asker's own words: hostile text
  evidence      text[] not null default '{}',
  fingerprints  text[] not null default '{}',
  basis         text not null check (basis in ('kernel','systemd','measured','operator','text')),
  inverse_of    bigint references actions on delete cascade,
  state         text not null default 'requested' check (state in
                  ('requested','proposed','approved','intent','started','done','failed','unknown',
                   'denied','refused','expired','withdrawn')),
  risk          text check (risk in ('low','medium','high')),
  rule          text,                      -- the policy's rule that decided
  why           text,                      -- and its sentence; later the result's
  code          text,                      -- what people type while it is proposed
  requested_at  timestamptz not null default now(),
  decided_at    timestamptz,
  expires_at    timestamptz,
  answered_at   timestamptz,
  answered_by   text,
  answered_from text,
  approved_hash text,                      -- the content that was approved
  started_at    timestamptz,
  ended_at      timestamptz,
  before        jsonb not null default '{}',
  measured      jsonb not null default '{}',
  output        text not null default '',
  -- Armed outside the daemon before it began, for what could lock the operator out; void once
  -- somebody confirmed that the way in works.
  reversal      jsonb,
  confirm_by    timestamptz,
  confirmed_at  timestamptz,
  confirmed_by  text,
  learned       boolean not null default false,
  lease_owner   text,
  lease_until   timestamptz,
  fence         bigint not null default 0,
  next_at       timestamptz not null default now(),
  constraint approved_for_exactly_this check (approved_hash is null or approved_hash = content_hash)
);
create unique index actions_code on actions (code) where state = 'proposed';
-- Concurrency per target is one, over all daemons.
create unique index actions_one_at_a_time on actions (host, target)
  where state in ('intent','started');
-- What is asked for twice while it is open is one action.
create unique index actions_open on actions (content_hash)
  where state in ('requested','proposed','approved','intent','started');
create index actions_work on actions (next_at)
  where state in ('requested','proposed','approved','intent','started');
create index actions_incident on actions (incident_id, id) where incident_id is not null;
create index actions_past on actions (host, kind, target, ended_at desc)
  where state in ('done','failed','unknown');
create index actions_began on actions (host, started_at desc) where started_at is not null;

-- What has to be undone in time. Stored before the action begins, so that no crash forgets it.
create table inverses (
  action_id    bigint primary key references actions on delete cascade,
  host         text not null,
  kind         text not null,
  target       text not null,
  parameters   jsonb not null default '{}',
  in_kernel    boolean not null,
  due_at       timestamptz not null,
  state        text not null default 'armed' check (state in ('armed','due','undone','void')),
  request_id   bigint references actions on delete set null,
  updated_at   timestamptz not null default now()
);
create index inverses_due on inverses (due_at) where state = 'armed';

-- What verified effects taught, by what was done to what for which pattern ('' for none).
create table outcomes (
  host         text not null,
  kind         text not null,
  target       text not null,
  fingerprint  text not null,
  done         bigint not null default 0,
  failed       bigint not null default 0,
  last_at      timestamptz not null,
  last_done    boolean not null,
  primary key (host, kind, target, fingerprint)
);

-- The global stop switch: one row for each time somebody threw it, the newest says how it stands.
create table stops (
  id           bigint generated always as identity primary key,
  stopped      boolean not null,
  by           text not null,
  reason       text not null,
  at           timestamptz not null default now()
);
