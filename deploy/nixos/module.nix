# services.triaged: the daemon, its models, its database and what it may do, on NixOS.
# The guide is docs/nixos.md. In the order to read it in:
#   options.nix, options-*.nix, types.nix         what can be said
#   settings.nix                                  triaged.toml from it
#   models.nix, llama.nix, secrets.nix            where files and programs are
#   units.nix, hardening.nix, network.nix         the units, as in deploy/systemd
#   polkit.nix, helper.nix                        what may be asked of systemd, and of root
#   assertions.nix                                mistakes that are found before anything is built
{
  config,
  lib,
  pkgs,
  ...
}:
let
  cfg = config.services.triaged;
  models = import ./models.nix { inherit cfg lib pkgs; };
  secrets = import ./secrets.nix { inherit cfg lib; };
  helper = import ./helper.nix { inherit cfg lib; };
  llama = import ./llama.nix { inherit cfg lib; };
  assertions = import ./assertions.nix {
    inherit
      cfg
      lib
      llama
      models
      secrets
      ;
  };
  units = import ./units.nix {
    inherit
      cfg
      lib
      configFile
      helper
      llama
      models
      secrets
      ;
  };

  toml = pkgs.formats.toml { };
  written = toml.generate "triaged.toml" cfg.settings;
  checked = pkgs.runCommand "triaged.toml" { nativeBuildInputs = [ cfg.package ]; } ''
    export HOME="$TMPDIR"
    triaged --config ${written} check-config
    cp ${written} "$out"
  '';
  configFile = if cfg.checkConfig then checked else written;
in
{
  imports = [
    ./options.nix
    ./options-models.nix
    ./options-actions.nix
  ];

  # Each path below is defined once, so that nothing here depends on how definitions merge.
  config = lib.mkIf cfg.enable {
    inherit (assertions) assertions warnings;

    # Defaults, one for each value: whatever the operator says in `settings` goes before.
    services.triaged.settings = lib.mapAttrsRecursive (_: lib.mkDefault) (
      import ./settings.nix {
        inherit
          cfg
          lib
          models
          secrets
          ;
      }
    );
    services.postgresql = lib.optionalAttrs cfg.database.createLocally (
      {
        enable = true;
        ensureDatabases = [ "triaged" ];
        ensureUsers = [
          {
            name = "triaged";
            ensureDBOwnership = true;
          }
        ];
      }
      // lib.optionalAttrs cfg.database.timescaledb {
        extensions = available: [ available.timescaledb ];
        settings.shared_preload_libraries = "timescaledb";
      }
    );

    users.users.triaged = {
      isSystemUser = true;
      group = "triaged";
      home = "/var/lib/triaged";
      description = "AI system administrator";
    };
    users.groups.triaged = { };

    # llama-server too: `triaged doctor` and `triaged bench` find it on the PATH.
    environment.systemPackages = [
      cfg.package
    ]
    ++ lib.optional (!llama.isBundled) cfg.llama-cpp.package;
    environment.etc = {
      "triaged/triaged.toml".source = configFile;
    }
    // lib.optionalAttrs (models.atStart != { }) {
      "triaged/models.toml".source = toml.generate "models.toml" { model = models.entries; };
    }
    // lib.optionalAttrs cfg.helper.enable {
      "triaged/helper.toml" = {
        source = toml.generate "helper.toml" helper.settings;
        # A file of its own, not a link: the helper follows none.
        mode = "0644";
      };
    };

    systemd = {
      inherit (units) services targets;
    }
    // lib.optionalAttrs cfg.helper.enable { inherit (units) sockets; };

    security.polkit = lib.optionalAttrs (cfg.polkit.enable && cfg.autonomy != "observe") {
      enable = true;
      extraConfig = import ./polkit.nix { inherit cfg lib; };
    };

    networking.firewall = lib.optionalAttrs cfg.api.openFirewall {
      allowedTCPPorts = [ cfg.settings.api.port ];
    };
  };
}
