# nixpkgs' Python packages, and beside them the wheels of wheels.nix where nixpkgs has none or an older
# one. The whole set is built on them, so that no package is there in two versions.
{
  lib,
  stdenv,
  autoPatchelfHook,
  fetchPypi,
  python,
}:
let
  system = stdenv.hostPlatform.system;

  wheel =
    packages: name: its:
    let
      pure = its.files ? any;
      file = its.files.any or its.files.${system} or (throw "triaged: ${name} has no wheel for ${system}");
      tag = its.python or "py3";
    in
    packages.buildPythonPackage {
      pname = name;
      inherit (its) version;
      format = "wheel";
      src = fetchPypi {
        pname = lib.replaceStrings [ "-" ] [ "_" ] name;
        inherit (its) version;
        format = "wheel";
        dist = tag;
        python = tag;
        abi = its.abi or "none";
        platform = file.platform or "any";
        inherit (file) sha256;
      };
      # Built for any Linux: the loader and libraries are to be found in the store.
      nativeBuildInputs = lib.optional (!pure) autoPatchelfHook;
      buildInputs = lib.optional (!pure) (lib.getLib stdenv.cc.cc);
      dependencies = map (need: packages.${need}) its.needs;
      # Its tests are not in the wheel.
      doCheck = false;
      pythonImportsCheck = [ (lib.replaceStrings [ "-" ] [ "_" ] name) ];
      meta.sourceProvenance =
        if pure then [ ] else [ lib.sourceTypes.binaryNativeCode ];
    };

  isNewEnough =
    given: name: its:
    lib.hasAttr name given && lib.versionAtLeast given.${name}.version its.atLeast;
  packageOverrides =
    _: given:
    lib.mapAttrs (name: its: wheel self.pkgs name its) (
      lib.filterAttrs (name: its: !isNewEnough given name its) (import ./wheels.nix)
    );
  self = python.override { inherit self packageOverrides; };
in
self
