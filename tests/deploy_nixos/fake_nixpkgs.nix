# As much of nixpkgs as package.nix asks for, to see what it would build without building it. `has`: the
# Python packages that this nixpkgs has, with their versions.
{
  nixpkgsLib,
  package,
  has,
  system ? "x86_64-linux",
  arguments ? { },
}:
let
  lib = import nixpkgsLib;
  named = name: {
    type = "derivation";
    inherit name;
    outPath = "/nix/store/00000000000000000000000000000000-${name}";
  };

  packagesOf = final: {
    buildPythonPackage = given: named given.pname // given // { inherit given; };
    toPythonModule = module: module;
    hatchling = named "hatchling";
    psycopg = named "psycopg" // {
      version = has.psycopg;
      optional-dependencies.c = [ (named "psycopg-c") ];
    };
    uvicorn = named "uvicorn" // {
      version = has.uvicorn;
      optional-dependencies.standard = [ (named "uvloop") ];
    };
  };
  plain = lib.mapAttrs (name: version: named name // { inherit version; }) has;

  python =
    overrides:
    let
      self = {
        sitePackages = "lib/python3.13/site-packages";
        override = given: python given.packageOverrides;
        pkgs = lib.fix (lib.extends overrides (final: plain // packagesOf final));
        withPackages = choose: named "env" // { chosen = choose self.pkgs; };
      };
    in
    self;

  pkgs = {
    inherit lib;
    stdenv = {
      hostPlatform = { inherit system; };
      cc.cc = named "gcc";
    };
    autoPatchelfHook = named "auto-patchelf-hook";
    fetchPypi = given: given;
    postgresql_18 = named "postgresql-18";
    python313 = python (_: _: { });
    runCommand =
      name: given: command:
      named name // (given.passthru or { }) // given // { inherit command; };
    callPackage =
      path: more:
      let
        made = import path;
      in
      made (builtins.intersectAttrs (builtins.functionArgs made) pkgs // more);
  };
in
pkgs.callPackage package arguments
