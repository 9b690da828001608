# Types of options that NixOS has not.
{ lib }:
let
  inherit (lib) types;
in
rec {
  # What pkgs.formats.toml takes. Said here with lib alone, so that the options (and a manual of
  # them) can be had without building or even having a package set.
  toml =
    types.oneOf [
      types.bool
      types.int
      types.float
      types.str
      types.path
      (types.attrsOf toml)
      (types.listOf toml)
    ]
    // {
      description = "TOML value";
    };

  # A file that stays where it is: a path that is written without quotes is not copied to the store.
  file = types.nullOr (types.coercedTo types.path toString (types.strMatching "/.+")) // {
    description = "null or the absolute path of a file";
  };
}
