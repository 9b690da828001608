-- What each key of the facade used, by day (UTC). Budgets of tokens count from it.
create table key_usage (
  key                text not null,          -- the key's name, '' for callers without one
  day                date not null,
  model              text not null,          -- '' counts requests of every kind
  requests           bigint not null default 0 check (requests >= 0),
  prompt_tokens      bigint not null default 0 check (prompt_tokens >= 0),
  completion_tokens  bigint not null default 0 check (completion_tokens >= 0),
  last_used_at       timestamptz,
  primary key (key, day, model)
);
create index key_usage_day on key_usage (day);
