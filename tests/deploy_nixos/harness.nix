# Evaluates module.nix without NixOS: nixpkgs' lib, and stubs for what the module sets of the rest.
# `loose`: stubs that take anything and merge by attribute, else ones that are typed as in NixOS.
# `packages`: whether there is a package set.
{
  nixpkgsLib,
  module,
  configuration,
  loose ? false,
  packages ? true,
}:
let
  lib = import nixpkgsLib;
  inherit (lib) mkOption types;

  any = mkOption {
    type = if loose then types.attrs else types.anything;
    default = { };
  };
  texts = mkOption {
    type = types.listOf types.str;
    default = [ ];
  };

  # A package that is only a name.
  named = name: {
    type = "derivation";
    inherit name;
    outPath = "/nix/store/00000000000000000000000000000000-${name}";
    override = _: named name;
    meta.mainProgram = name;
  };

  stubPkgs = {
    llama-cpp = named "llama-cpp";
    triaged = named "triaged";
    callPackage = _: _: named "triaged";
    fetchurl = arguments: named arguments.name // { inherit (arguments) url sha256; };
    runCommand =
      name: _: command:
      named name // { inherit command; };
    formats.toml = _: {
      type = types.attrs;
      generate = name: value: named name // { inherit value; };
    };
  };

  unit = types.submodule {
    freeformType = types.attrsOf types.anything;
    options = {
      serviceConfig = mkOption {
        type = types.attrsOf (
          types.oneOf [
            types.str
            types.int
            types.bool
            (types.listOf types.str)
          ]
        );
        default = { };
      };
      environment = mkOption {
        type = types.attrsOf types.str;
        default = { };
      };
      after = texts;
      wants = texts;
      wantedBy = texts;
      partOf = texts;
    };
  };
  units = mkOption {
    type = types.attrsOf unit;
    default = { };
  };

  stubs = {
    options = {
      assertions = mkOption {
        type = types.listOf types.attrs;
        default = [ ];
      };
      warnings = texts;
      environment =
        if loose then
          any
        else
          {
            systemPackages = mkOption {
              type = types.listOf types.package;
              default = [ ];
            };
            etc = any;
          };
      networking =
        if loose then
          any
        else
          {
            firewall.allowedTCPPorts = mkOption {
              type = types.listOf types.port;
              default = [ ];
            };
          };
      security =
        if loose then
          any
        else
          {
            polkit.enable = lib.mkEnableOption "polkit";
            polkit.extraConfig = mkOption {
              type = types.lines;
              default = "";
            };
          };
      services.postgresql = any;
      systemd =
        if loose then
          any
        else
          {
            services = units;
            sockets = units;
            targets = units;
          };
      users =
        if loose then
          any
        else
          {
            users = any;
            groups = any;
          };
    };
  };
in
lib.evalModules {
  modules = [
    module
    stubs
    configuration
    { _module.args.pkgs = if packages then stubPkgs else throw "there are no packages"; }
  ];
}
// {
  inherit lib;
}
