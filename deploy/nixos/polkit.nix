# The rule by which polkit lets the user triaged manage units: that of every other host, word for word,
# and the operator's own critical units. The rule looks at its list whenever it is asked.
{ cfg, lib }:
let
  # As the daemon reads it: a glob without a dot is meant for units of every type.
  globs = lib.concatMap (
    glob: [ glob ] ++ lib.optional (!lib.hasInfix "." glob) "${glob}.*"
  ) cfg.criticalUnits;
in
builtins.readFile ../actions/polkit/50-triaged.rules
+ lib.optionalString (globs != [ ]) ''

  // services.triaged.criticalUnits
  triagedCritical = triagedCritical.concat(${builtins.toJSON globs});
''
