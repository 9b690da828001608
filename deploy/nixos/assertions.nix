# Mistakes that are found when the system is evaluated, each with what, why and what to do. What the
# daemon alone can judge is found by check-config when the file is built.
{
  cfg,
  lib,
  llama,
  models,
  secrets,
}:
let
  network = import ./network.nix { inherit cfg lib; };
  tierNames = [
    "trigger"
    "review"
    "meta"
  ];
  each = lib.mapAttrsToList;
  settings = cfg.settings;
  keysFile = settings.api.keys_file or null;

  # A port each: of the API, and of the llama-servers on this host.
  ports = {
    "api.port" = settings.api.port or 8083;
  }
  // lib.mapAttrs' (name: tier: {
    name = "tiers.${name}.port";
    value = tier.port;
  }) (lib.filterAttrs (name: tier: lib.elem name tierNames && tier.endpoint == null) cfg.tiers);
  shared = lib.filterAttrs (_: names: lib.length names > 1) (
    lib.groupBy (name: toString ports.${name}) (lib.attrNames ports)
  );
  sharedPorts = each (port: names: "${lib.concatStringsSep " and " names} are both ${port}") shared;

  ofTier =
    name: tier:
    let
      its = "services.triaged.tiers.${name}";
      # Units follow the options, so these two must not differ from them.
      same =
        key: value:
        let
          set = settings.tiers.${name}.${key} or value;
        in
        {
          assertion = set == value;
          message = ''
            services.triaged.settings.tiers.${name}.${key} differs from ${its}.${key}, which the units
            follow. Set ${its}.${key} instead.'';
        };
    in
    [
      {
        assertion = lib.elem name tierNames;
        message = ''
          ${its}: there is no such tier. The three tiers are trigger, review and meta.'';
      }
      {
        assertion = models.isFound tier;
        message = ''
          ${its} has no model: "${toString tier.model}" is not "bundled", the absolute path of a GGUF file, or the name
          of an entry of services.triaged.llama-cpp.models. Set ${its}.model to one of these, or
          ${its}.endpoint to the URL of a running server.'';
      }
      {
        assertion = tier.endpoint == null || builtins.match "https?://[^/@]+(/.*)?" tier.endpoint != null;
        message = ''
          ${its}.endpoint must be an http:// or https:// URL without a name or password: "${toString tier.endpoint}".
          A key goes into a file, which ${its}.apiKeyFile names.'';
      }
      {
        assertion = tier.apiKeyFile == null || tier.endpoint != null;
        message = ''
          ${its}.apiKeyFile is the key of an endpoint, and none is set: the llama-server of this host
          listens on loopback only and needs none. Set ${its}.endpoint, or take the key away.'';
      }
      (same "endpoint" tier.endpoint)
      (same "port" tier.port)
    ];

  ofModel =
    name: model:
    let
      its = "services.triaged.llama-cpp.models.${name}";
      inHub = model.repository != null && model.file != null;
    in
    [
      {
        assertion = builtins.match "[a-z0-9][a-z0-9._-]{0,79}" name != null && name != "bundled";
        message = ''
          ${its}: a model's name is made of lower-case letters, digits, ".", "_" and "-", begins with a
          letter or digit, and is not "bundled".'';
      }
      {
        assertion = model.fetch != "start" || inHub;
        message = ''
          ${its} is downloaded at a start and does not say from where. Set ${its}.repository and
          ${its}.file, or fetch = "build" with a url and a hash.'';
      }
      {
        assertion = model.fetch != "build" || ((inHub || model.url != null) && model.hash != null);
        message = ''
          ${its} is fetched when the system is built, which needs its hash, and a url or a repository
          with a file. Set them, or fetch = "start".'';
      }
    ];

  ofChannel = name: channel: {
    assertion =
      channel.urlsFile != null || (settings.notify.channels.${name}.urls or [ ]) != [ ];
    message = ''
      services.triaged.notifications.channels.${name} goes nowhere. Set its urlsFile to a file with an
      apprise URL a line.'';
  };

  ofSecret = name: file: {
    assertion = file == null || !lib.hasPrefix builtins.storeDir file;
    message = ''
      services.triaged: the secret ${toString file} (${name}) is in the store, which every user can
      read. Name a file outside of it, as a string, for example one that agenix or sops-nix makes.'';
  };
in
{
  assertions = [
    {
      assertion = network.isLocal network.listens || keysFile != null;
      message = ''
        services.triaged.api.host is ${network.listens}, which others can reach, and there are no keys: anybody could
        use the models and approve actions. Set services.triaged.api.keysFile (`triaged keys add` makes
        one), or listen on 127.0.0.1.'';
    }
    {
      assertion = sharedPorts == [ ];
      message = ''
        services.triaged: ${lib.concatStringsSep "; " sharedPorts}. Give each its own port.'';
    }
    {
      assertion = !(cfg.database.timescaledb && !cfg.database.createLocally && cfg.database.dsnFile == null);
      message = ''
        services.triaged.database.timescaledb needs a PostgreSQL that can load it: the daemon's own
        cannot. Set services.triaged.database.createLocally = true.'';
    }
    {
      assertion = cfg.llama-cpp.bundled != true || (cfg.package.bundledLlama or true);
      message = ''
        services.triaged.llama-cpp.bundled is set, and services.triaged.package has no llama-server. Make
        it with withBundledLlama = true, or leave bundled out.'';
    }
    {
      assertion = cfg.mqtt.passwordFile == null || cfg.mqtt.username != null;
      message = ''
        services.triaged.mqtt has a passwordFile and no username, so the broker would not be told it.
        Set services.triaged.mqtt.username.'';
    }
    {
      assertion = cfg.nixos.flake == null || cfg.helper.enable || cfg.autonomy == "observe";
      message = ''
        services.triaged.nixos.flake is set, and building and switching need root, which the helper has.
        Leave helper.enable and helper.verbs as they are, or set nixos.flake = null.'';
    }
  ]
  ++ lib.concatLists (each ofTier cfg.tiers)
  ++ lib.concatLists (each ofModel cfg.llama-cpp.models)
  ++ each ofChannel cfg.notifications.channels
  ++ each ofSecret secrets.all;

  warnings =
    lib.optional (cfg.llama-cpp.bundled == true && cfg.llama-cpp.acceleration != "cpu") ''
      services.triaged.llama-cpp.acceleration is "${cfg.llama-cpp.acceleration}", and the bundled llama-server computes on
      processors only. Set bundled = false, or acceleration = "cpu".''
    # The package is not looked at where it need not be: it may not even be there.
    ++ lib.optional (cfg.llama-cpp.acceleration != "cpu" && !llama.isBundled && llama.isTooOld) ''
      services.triaged.llama-cpp.package is build ${toString llama.build} of llama.cpp, older than ${toString llama.minimum}, the oldest
      that the daemon takes. Take a newer nixpkgs, or set llama-cpp.package.''
    ++ lib.optional (cfg.api.openFirewall && network.isLocal network.listens) ''
      services.triaged.api.openFirewall opens a port on which only loopback is listened to. Set
      services.triaged.api.host, or leave the port closed.''
    ++ lib.optional (cfg.database.createLocally && cfg.database.dsnFile != null) ''
      services.triaged.database has both createLocally and dsnFile: a database is made on this host, and
      the daemon uses what dsnFile says. Set createLocally = false where that is another one.''
    ++ lib.optional (cfg.database.timescaledb && !cfg.database.createLocally) ''
      services.triaged.database.timescaledb does nothing for the database of dsnFile: make the extension
      there (create extension timescaledb) before the daemon starts for the first time.''
    ++ lib.optional (cfg.autonomy == "observe" && cfg.helper.enable) ''
      services.triaged.helper is enabled at autonomy "observe", at which it is never asked.'';
}
