# What can be said about the daemon. Tiers and models are in options-models.nix.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) literalExpression mkOption types;
  cfg = config.services.triaged;
  llama = import ./llama.nix { inherit cfg lib; };

  # What pkgs.formats.toml takes. Said here with lib alone, so that the options (and a manual of
  # them) can be had without building or even having a package set.
  tomlValue =
    (types.oneOf [
      types.bool
      types.int
      types.float
      types.str
      types.path
      (types.attrsOf tomlValue)
      (types.listOf tomlValue)
    ])
    // {
      description = "TOML value";
    };

  secretFile = types.nullOr (types.strMatching "/.+") // {
    description = "null or the absolute path of a file, as a string";
  };

  channel = types.submodule {
    options = {
      urlsFile = mkOption {
        type = secretFile;
        default = null;
        example = "/run/secrets/triaged-phone";
        description = ''
          File with an apprise URL a line, readable by root. It is handed to the daemon as a
          credential and never enters the store.
        '';
      };
      minSeverity = mkOption {
        type = types.enum [
          "info"
          "notice"
          "warning"
          "critical"
        ];
        default = "warning";
        example = "critical";
        description = "Least severity that is told on this channel.";
      };
      quiet = mkOption {
        type = types.nullOr types.str;
        default = null;
        example = "22:00-07:00";
        description = "Hours, local time, in which only what is critical is told.";
      };
    };
  };
in
{
  options.services.triaged = {
    enable = mkOption {
      type = types.bool;
      default = false;
      example = true;
      description = "Whether to run triaged, an AI system administrator with local models.";
    };

    package = mkOption {
      type = types.package;
      default = pkgs.callPackage ./package.nix {
        withBundledLlama = cfg.llama-cpp.bundled == true || llama.isTooOld;
      };
      defaultText = literalExpression "pkgs.callPackage ./package.nix { }";
      example = literalExpression "pkgs.triaged.override { withBundledLlama = true; }";
      description = "The package of triaged.";
    };

    autonomy = mkOption {
      type = types.enum [
        "observe"
        "suggest"
        "auto-safe"
        "auto-full"
      ];
      default = "suggest";
      example = "auto-safe";
      description = ''
        What the daemon may do by itself. `observe`: report. `suggest`: propose, and do what a human
        approves. `auto-safe`: do what is reversible and of low risk on targets that are not critical.
        `auto-full`: do what its policy allows, and still ask before what is of high risk.
        At `observe` no polkit rule is installed, so that nothing could be done either.
      '';
    };

    settings = mkOption {
      type = types.attrsOf tomlValue;
      default = { };
      example = {
        log.level = "debug";
        sources.services.units = [ "nginx" ];
        sources.schedule.review = "every 12h";
      };
      description = ''
        The daemon's configuration, as `/etc/triaged/triaged.toml` has it; `deploy/triaged.example.toml`
        lists every setting. What the other options say is filled in here as defaults, and what is
        said here goes before. Secrets do not belong here: the file is readable by all.
      '';
    };

    checkConfig = mkOption {
      type = types.bool;
      default = true;
      example = false;
      description = ''
        Whether the build runs `triaged check-config` over the generated file and fails on a mistake.
        Turn it off where the machine that builds cannot run the daemon's programs.
      '';
    };

    allowedAddresses = mkOption {
      type = types.nullOr (types.listOf types.str);
      default = null;
      example = [
        "192.0.2.0/24"
        "2001:db8::/32"
      ];
      description = ''
        Addresses beside loopback that the daemon may talk to and be asked from (systemd's
        `IPAddressAllow`). `null`: none, unless the listener, a tier's endpoint, the broker, the
        database's `dsnFile` or a notification channel needs others; then any.
      '';
    };

    api = {
      host = mkOption {
        type = types.str;
        default = "127.0.0.1";
        example = "0.0.0.0";
        description = "Address that the API listens on. Anything but loopback needs `keysFile`.";
      };
      port = mkOption {
        type = types.port;
        default = 8083;
        example = 9083;
        description = "Port of the API, the dashboard and the metrics.";
      };
      keysFile = mkOption {
        type = secretFile;
        default = null;
        example = "/var/lib/triaged/keys.toml";
        description = ''
          File with the keys of clients. Below `/var/lib/triaged` it is read as it is, `triaged keys`
          changes it, and the daemon follows it. Anywhere else it is handed over as a credential
          when the daemon starts. `null`: `/var/lib/triaged/keys.toml`, should it come to be.
        '';
      };
      openFirewall = mkOption {
        type = types.bool;
        default = false;
        example = true;
        description = "Whether to open the API's port in the firewall.";
      };
    };

    database = {
      createLocally = mkOption {
        type = types.bool;
        default = true;
        example = false;
        description = ''
          Whether to set up a database in this host's PostgreSQL (`services.postgresql`), reached over
          its socket without a password. Without it and without `dsnFile` the daemon runs a
          PostgreSQL of its own in `/var/lib/triaged`.
        '';
      };
      timescaledb = mkOption {
        type = types.bool;
        default = false;
        example = true;
        description = ''
          Whether the local database has TimescaleDB, which compresses and drops old rows better. It
          takes effect in an empty database. Its Community licence is not a free one:
          `nixpkgs.config.allowUnfreePredicate` has to let it in.
        '';
      };
      dsnFile = mkOption {
        type = secretFile;
        default = null;
        example = "/run/secrets/triaged-dsn";
        description = ''
          File whose only line is the connection string of another PostgreSQL, readable by root. It is
          handed to the daemon as a credential, and goes before the local database; set
          `createLocally = false` with it.
        '';
      };
    };

    mqtt = {
      enable = mkOption {
        type = types.bool;
        default = false;
        example = true;
        description = "Whether to take events from a broker, below the topic PREFIX/events.";
      };
      host = mkOption {
        type = types.str;
        default = "localhost";
        example = "broker.example";
        description = "Name or address of the broker.";
      };
      port = mkOption {
        type = types.nullOr types.port;
        default = null;
        example = 8883;
        description = "Port of the broker. `null`: 8883 with TLS, else 1883.";
      };
      prefix = mkOption {
        type = types.strMatching "[^#+]+";
        default = "triaged";
        example = "site-a/triaged";
        description = "What the topics begin with.";
      };
      username = mkOption {
        type = types.nullOr types.str;
        default = null;
        example = "triaged";
        description = "User name at the broker.";
      };
      passwordFile = mkOption {
        type = secretFile;
        default = null;
        example = "/run/secrets/triaged-mqtt";
        description = "File whose first line is the password, readable by root; a credential.";
      };
      tls = mkOption {
        type = types.bool;
        default = false;
        example = true;
        description = "Whether to encrypt, and to check the broker's certificate.";
      };
    };

    notifications.channels = mkOption {
      type = types.attrsOf channel;
      default = { };
      example = {
        phone = {
          urlsFile = "/run/secrets/triaged-phone";
          quiet = "22:00-07:00";
        };
      };
      description = "Ways to reach people, by name. None: nobody is told.";
    };

    polkit.enable = mkOption {
      type = types.bool;
      default = true;
      example = false;
      description = ''
        Whether polkit lets the daemon start, stop, restart, reload and reset units that are not
        critical. Without it such actions are refused by systemd, whatever was approved.
      '';
    };

    criticalUnits = mkOption {
      type = types.listOf types.str;
      default = [ ];
      example = [
        "nginx"
        "borgbackup-job-*"
      ];
      description = ''
        Units that are critical beside those that always are (ssh, network, boot, storage, triaged and
        its database), as globs; without a dot units of every type are meant. The daemon's policy,
        polkit and the helper all keep to it.
      '';
    };

    helper = {
      enable = mkOption {
        type = types.bool;
        default = cfg.helper.verbs != [ ];
        defaultText = literalExpression "config.services.triaged.helper.verbs != [ ]";
        example = true;
        description = ''
          Whether the small root helper is there for what polkit cannot express. systemd starts it
          for each request at its socket, and it does only what `verbs` names.
        '';
      };
      verbs = mkOption {
        type = types.listOf types.str;
        default = lib.optionals (cfg.nixos.flake != null && cfg.autonomy != "observe") [
          "nixos"
          "reversal-arm"
          "reversal-cancel"
        ];
        defaultText = literalExpression "what switching needs where `nixos.flake` is set, else none";
        example = [
          "nixos"
          "journal-vacuum"
        ];
        description = ''
          What the helper may be asked for, by the names of its verbs; docs/nixos.md lists them. Above
          `observe` a flake allows what switching needs; a list that is set here replaces that.
        '';
      };
      settings = mkOption {
        type = types.attrsOf tomlValue;
        default = { };
        example = {
          folders = [ "/var/cache/nginx" ];
        };
        description = ''
          What else `/etc/triaged/helper.toml` says: `folders` that may be cleaned, `mounts`,
          `containers`, addresses that are never blocked (`never_block`).
        '';
      };
    };

    nixos.flake = mkOption {
      type = types.nullOr (types.strMatching "/[A-Za-z0-9_./-]+#[A-Za-z0-9_-]{1,63}");
      default = null;
      example = "/etc/nixos#myhost";
      description = ''
        The flake that the actions on NixOS itself (build, test, switch, roll back) work on: the path of
        its folder, `#`, and the name of the host in it. `null`: there are none. They go through the
        helper.
      '';
    };
  };
}
