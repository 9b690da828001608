# Model files: where each is, and which of them have to be downloaded when the system starts.
{
  cfg,
  lib,
  pkgs,
}:
let
  folder = "/var/lib/triaged/models";
  known = cfg.llama-cpp.models;

  # Lower-case hexadecimal digits of a SHA-256 that may be written as sha256-BASE64: the catalogue
  # of models wants those. Two digits of base64 are three hexadecimal ones.
  hexadecimal =
    hash:
    if !lib.hasPrefix "sha256-" hash then
      hash
    else
      let
        base64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        values = lib.listToAttrs (
          lib.imap0 (value: name: { inherit name value; }) (lib.stringToCharacters base64)
        );
        digits = map (character: values.${character} or 0) (
          lib.stringToCharacters (lib.removePrefix "sha256-" hash)
        );
        hex = lib.stringToCharacters "0123456789abcdef";
        three =
          pair:
          let
            bits = lib.elemAt digits (2 * pair) * 64 + lib.elemAt digits (2 * pair + 1);
          in
          lib.concatMapStrings (lib.elemAt hex) [
            (bits / 256)
            (lib.mod (bits / 16) 16)
            (lib.mod bits 16)
          ];
      in
      lib.substring 0 64 (lib.concatMapStrings three (lib.range 0 21));

  fetched =
    name: model:
    pkgs.fetchurl {
      name = if model.file != null then baseNameOf model.file else "${name}.gguf";
      url =
        if model.url != null then
          model.url
        else
          "https://huggingface.co/${model.repository}/resolve/main/${model.file}";
      sha256 = model.hash;
    };

  pathOf =
    name: model:
    if model.fetch == "start" then
      "${folder}/${model.repository}/${model.file}"
    else
      "${fetched name model}";

  # A path that is written without quotes stays where it is: models are large.
  text = model: if builtins.isPath model then toString model else "${model}";

  isBundled = tier: tier.model == "bundled";
  isPath = tier: tier.model != null && lib.hasPrefix "/" (text tier.model);
  isKnown = tier: lib.isString tier.model && lib.hasAttr tier.model known;
  atStart = lib.filterAttrs (_: model: model.fetch == "start") known;
in
{
  # What the configuration says as a tier's model; a string, which may refer to the store.
  named =
    tier:
    if isKnown tier && tier.endpoint == null then
      pathOf tier.model known.${tier.model}
    else
      text tier.model;

  # Whether a tier has what it needs to answer.
  isFound =
    tier:
    tier.model != null
    && (tier.endpoint != null || isBundled tier || isPath tier || isKnown tier);

  # Whether a tier waits for a download.
  isAwaited = tier: tier.endpoint == null && isKnown tier && lib.hasAttr tier.model atStart;

  # Names of what is downloaded at a start, and a catalogue that says what it is.
  inherit atStart;
  entries = lib.mapAttrsToList (
    name: model:
    {
      id = name;
      inherit (model) repository file;
    }
    // lib.optionalAttrs (model.hash != null) { sha256 = hexadecimal model.hash; }
  ) atStart;
}
