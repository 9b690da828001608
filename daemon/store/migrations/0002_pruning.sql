-- What refers to a pattern or a verdict is found without reading whole tables when those are deleted.
create index pattern_aliases_fingerprint on pattern_aliases (fingerprint);
create index patterns_verdict on patterns (verdict_id) where verdict_id is not null;
