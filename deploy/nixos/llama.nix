# Which llama-server is run: that of llama-cpp.package, or the one in the package of triaged.
{ cfg, lib }:
let
  # The oldest build that the daemon takes (tiers/runtime/binary.py).
  minimum = 11434;
  package = cfg.llama-cpp.package;

  # nixpkgs says the build as the version ("9297"), or hands it to the build ("0.4.0").
  version = package.version or "";
  flags = toString (package.cmakeFlags or [ ]);
  handed = builtins.match ".*LLAMA_BUILD_NUMBER[^=]*=([0-9]+).*" flags;
  build =
    if builtins.match "[0-9]{4,9}" version != null then
      lib.toInt version
    else if handed != null then
      lib.toInt (lib.head handed)
    else
      null;
in
rec {
  inherit minimum build;

  # Not where the build is not known: then the daemon asks the program itself.
  isTooOld = build != null && build < minimum;

  isBundled =
    if cfg.llama-cpp.bundled != null then
      cfg.llama-cpp.bundled
    else
      cfg.llama-cpp.acceleration == "cpu" && isTooOld && (cfg.package.bundledLlama or false);
}
