-- What is asked every two seconds, or for every action, must not read all that was ever done.
create index actions_unconfirmed on actions (confirm_by)
  where confirm_by is not null and confirmed_at is null;
create index actions_denied on actions (content_hash) where state = 'denied';
create index actions_codes on actions (code, id desc) where code is not null;
create index inverses_asked on inverses (host) where state = 'due';
create index inverses_request on inverses (request_id) where request_id is not null;
