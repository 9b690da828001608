# The units, as in deploy/systemd: one target, the daemon, a llama-server for each tier, and what has to
# be done before. `configFile` is /etc/triaged/triaged.toml, for units to be restarted when it changes.
{
  cfg,
  lib,
  configFile,
  helper,
  llama,
  models,
  secrets,
}:
let
  hardening = import ./hardening.nix { inherit cfg lib; };
  network = import ./network.nix { inherit cfg lib; };
  triaged = "${cfg.package}/bin/triaged --config /etc/triaged/triaged.toml";

  # They start one after the other: each finds what memory those before it have left.
  earlier = {
    trigger = [ ];
    review = [ "trigger" ];
    meta = [
      "trigger"
      "review"
    ];
  };
  served = lib.optionals cfg.llama-cpp.enable (
    lib.filter (name: cfg.tiers.${name}.endpoint == null) (lib.attrNames earlier)
  );
  serverUnit = name: "llama-${name}.service";
  downloads = models.atStart != { };
  databaseUnits = lib.optionals cfg.database.createLocally [
    "postgresql.service"
    "postgresql-setup.service"
    "postgresql.target"
  ];

  environment = {
    LC_ALL = "C.UTF-8";
    HOME = "/var/lib/triaged";
    PYTHONNOUSERSITE = "1";
  }
  // lib.optionalAttrs (!llama.isBundled) {
    LLAMA_BIN = "${cfg.llama-cpp.package}/bin/llama-server";
  };

  # What every unit that runs as the daemon's user has.
  account = {
    User = "triaged";
    Group = "triaged";
    StateDirectory = "triaged";
    StateDirectoryMode = "0711";
  };

  daemon = {
    description = "AI system administrator with local models";
    wantedBy = [ "triaged.target" ];
    partOf = [ "triaged.target" ];
    after = [
      "network.target"
      "dbus.socket"
      "systemd-journald.socket"
      "time-set.target"
    ]
    ++ map serverUnit served
    ++ databaseUnits;
    wants = databaseUnits;
    # A watchman is started again for ever, but not in a tight loop (RestartSec).
    startLimitIntervalSec = 0;
    restartTriggers = [ configFile ];
    # What looks at the host are the host's own tools: journalctl, df, ip and so on.
    path = [ "/run/current-system/sw" ];
    inherit environment;
    serviceConfig =
      hardening.daemon network.addresses
      // account
      // {
        Type = "notify";
        NotifyAccess = "main";
        ExecStart = "${triaged} run --quiet";
        ExecReload = "/run/current-system/sw/bin/kill -HUP $MAINPID";
        RuntimeDirectory = "triaged";
        RuntimeDirectoryMode = "0711";
        CacheDirectory = "triaged";
        Restart = "always";
        RestartSec = 5;
        RestartPreventExitStatus = "2 5";
        TimeoutStartSec = "10min";
        TimeoutStopSec = 90;
        WatchdogSec = 90;
        KillMode = "mixed";
        OOMPolicy = "continue";
        OOMScoreAdjust = -100;
        LimitNOFILE = 65536;
        TasksMax = 4096;
      }
      // lib.optionalAttrs (secrets.credentials != [ ]) { LoadCredential = secrets.credentials; };
  };

  server =
    name:
    let
      tier = cfg.tiers.${name};
      awaited = models.isAwaited tier;
    in
    {
      description = "Model of triaged's ${name} tier";
      wantedBy = [ "triaged.target" ];
      partOf = [ "triaged.target" ];
      after = [
        "network.target"
      ]
      ++ map serverUnit (lib.intersectLists served earlier.${name})
      ++ lib.optional awaited "triaged-models.service";
      startLimitIntervalSec = 0;
      restartTriggers = [ configFile ];
      inherit environment;
      serviceConfig =
        hardening.server
        // account
        // {
          # exec: the daemon watches whether it answers, and works on without it meanwhile.
          Type = "exec";
          ExecStart = "${triaged} serve-model ${name}";
          Restart = "always";
          RestartSec = 5;
          # A file that is still to come (5) is waited for.
          RestartPreventExitStatus = if awaited then "2" else "2 5";
          TimeoutStopSec = 15;
          MemoryMax = tier.memoryMax;
          OOMScoreAdjust = 500;
          LimitNOFILE = 8192;
          TasksMax = 512;
          ReadOnlyPaths = "/var/lib/triaged";
        };
    };

  download = {
    description = "Download of triaged's models";
    wantedBy = [ "triaged.target" ];
    after = [ "network-online.target" ];
    wants = [ "network-online.target" ];
    startLimitIntervalSec = 0;
    restartTriggers = [ configFile ];
    inherit environment;
    serviceConfig =
      hardening.download
      // account
      // {
        Type = "oneshot";
        RemainAfterExit = true;
        ExecStart = "${triaged} models pull ${lib.concatStringsSep " " (lib.attrNames models.atStart)}";
        # What is here already is left alone; what was broken off goes on.
        Restart = "on-failure";
        RestartSec = 60;
        TimeoutStartSec = "infinity";
      }
      // lib.optionalAttrs (cfg.llama-cpp.environmentFile != null) {
        EnvironmentFile = cfg.llama-cpp.environmentFile;
      };
  };

  # Making an extension takes PostgreSQL's own user, and has to be done while the database is empty.
  extension = {
    description = "TimescaleDB in triaged's database";
    wantedBy = [ "triaged.service" ];
    before = [ "triaged.service" ];
    after = databaseUnits;
    requires = [ "postgresql.service" ];
    serviceConfig = {
      Type = "oneshot";
      RemainAfterExit = true;
      User = "postgres";
      ExecStart = "/run/current-system/sw/bin/psql --dbname=triaged --command='create extension if not exists timescaledb'";
    };
  };
in
{
  targets.triaged = {
    description = "triaged and its models";
    wantedBy = [ "multi-user.target" ];
  };

  services = {
    triaged = daemon;
  }
  // lib.listToAttrs (
    map (name: {
      name = "llama-${name}";
      value = server name;
    }) served
  )
  // lib.optionalAttrs downloads { triaged-models = download; }
  // lib.optionalAttrs (cfg.database.createLocally && cfg.database.timescaledb) {
    triaged-timescaledb = extension;
  }
  // lib.optionalAttrs cfg.helper.enable { "triaged-helper@" = helper.service; };

  sockets.triaged-helper = helper.socket;
}
