# What can be said about acting on the host.
{ config, lib, ... }:
let
  inherit (lib) literalExpression mkOption types;
  cfg = config.services.triaged;
  own = import ./types.nix { inherit lib; };
in
{
  options.services.triaged = {
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
        type = types.attrsOf own.toml;
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
