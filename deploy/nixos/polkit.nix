# The rule by which polkit lets the user triaged manage units. systemd tells it the unit and the verb.
# Enabling and disabling units is not in it: of that polkit is not told the unit.
{ cfg, lib }:
let
  verbs = [
    "start"
    "stop"
    "restart"
    "try-restart"
    "reload"
    "reload-or-restart"
    "reload-or-try-restart"
    "reset-failed"
  ];
  rest = lib.removeSuffix "*";
  whole = lib.filter (name: rest name == name) cfg.polkit.criticalUnits;
  begun = map rest (lib.filter (name: rest name != name) cfg.polkit.criticalUnits);
in
''
  // Made from services.triaged.polkit, at the level ${cfg.autonomy}.
  polkit.addRule(function (action, subject) {
    if (action.id !== "org.freedesktop.systemd1.manage-units" || subject.user !== "triaged") {
      return polkit.Result.NOT_HANDLED;
    }
    var unit = action.lookup("unit");
    var verb = action.lookup("verb");
    var verbs = ${builtins.toJSON verbs};
    var critical = ${builtins.toJSON whole};
    var beginnings = ${builtins.toJSON begun};
    if (!unit || verbs.indexOf(verb) < 0 || critical.indexOf(unit) >= 0) {
      return polkit.Result.NO;
    }
    // Targets, slices, mounts and devices stand for much more than themselves.
    if (!/^[^\/]+\.(service|socket|timer|path)$/.test(unit)) {
      return polkit.Result.NO;
    }
    for (var i = 0; i < beginnings.length; i++) {
      if (unit.indexOf(beginnings[i]) === 0) {
        return polkit.Result.NO;
      }
    }
    return polkit.Result.YES;
  });
''
