# /etc/triaged/triaged.toml, as far as options say it. What an option leaves open is left to the
# daemon's own defaults.
{
  cfg,
  lib,
  models,
  secrets,
}:
let
  tier =
    name: its:
    {
      inherit (its) port endpoint;
      model = models.named its;
      api_key_file = secrets.path "tier-${name}";
      context = its.contextSize;
      inherit (its) parallel threads;
      gpu_layers = its.gpuLayers;
    }
    // lib.optionalAttrs (cfg.llama-cpp.enable && its.endpoint == null) { served_by = "service"; };

  channel = name: its: {
    urls_file = secrets.path "channel-${name}";
    min_severity = its.minSeverity;
    inherit (its) quiet;
  };

  database =
    if cfg.database.dsnFile != null then
      { dsn_file = secrets.path "dsn"; }
    else
      # The kernel says who asks (peer), so there is no password.
      lib.optionalAttrs cfg.database.createLocally {
        dsn = "postgresql:///triaged?host=/run/postgresql&user=triaged";
      };

  said = {
    state_dir = "/var/lib/triaged";
    actions = {
      inherit (cfg) autonomy;
      nixos_flake = cfg.nixos.flake;
    }
    // lib.optionalAttrs (cfg.criticalUnits != [ ]) { critical = cfg.criticalUnits; };
    api = {
      inherit (cfg.api) host port;
      keys_file = secrets.path "keys";
    };
    store = database;
    # Names that are no tier's are told by an assertion; here they would hide it.
    tiers = lib.mapAttrs tier (lib.filterAttrs (_: its: its.model != null) cfg.tiers);
    sources = lib.optionalAttrs cfg.mqtt.enable {
      mqtt = {
        enabled = true;
        inherit (cfg.mqtt)
          host
          prefix
          username
          tls
          ;
        port =
          if cfg.mqtt.port != null then
            cfg.mqtt.port
          else if cfg.mqtt.tls then
            8883
          else
            1883;
        password_file = secrets.path "mqtt";
      };
    };
    notify.channels = lib.mapAttrs channel cfg.notifications.channels;
    models = lib.optionalAttrs (models.atStart != { }) {
      catalogue = [ "/etc/triaged/models.toml" ];
    };
  };
in
lib.filterAttrsRecursive (_: value: value != null) said
