-- What was told to whom: one row for each thing worth telling and each channel, so that a restart
-- tells nothing twice and forgets nothing.
create table notices (
  key          text not null,            -- incident/12/0/opened, tier/meta/2026-..., and so on
  channel      text not null,
  incident_id  bigint references incidents on delete cascade,
  told_at      timestamptz not null default now(),
  primary key (key, channel)
);
create index notices_incident on notices (incident_id);
create index notices_told on notices (told_at);
