-- Responses of /v1/responses that clients may go on from. One that is gone on from is as good as new,
-- with all before it: used_at says when that was. The documents are json, not jsonb: they come back
-- as they were sent.
create table responses (
  id           text primary key check (length(id) between 1 and 200),
  owner        text not null,
  previous_id  text,                       -- no foreign key: what is before may be deleted
  created_at   timestamptz not null,
  used_at      timestamptz not null default now(),
  bytes        integer not null check (bytes >= 0),
  item_ids     text[] not null,            -- of input and output, for references to them
  input_items  json not null,
  body         json not null
);
create index responses_used on responses (used_at, id);
create index responses_items on responses using gin (item_ids);
