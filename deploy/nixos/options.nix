# What can be said about the daemon. Models are in options-models.nix, acting in options-actions.nix.
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

  own = import ./types.nix { inherit lib; };

  channel = types.submodule {
    options = {
      urlsFile = mkOption {
        type = own.file;
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

    settings = mkOption {
      type = types.attrsOf own.toml;
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
        type = own.file;
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
        type = own.file;
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
        type = own.file;
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
  };
}
