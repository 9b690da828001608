# Files with secrets: root's, handed to the daemon by systemd as credentials, and never in the store.
{ cfg, lib }:
let
  ofTiers = lib.mapAttrs' (name: tier: {
    name = "tier-${name}";
    value = tier.apiKeyFile;
  }) cfg.tiers;
  ofChannels = lib.mapAttrs' (name: channel: {
    name = "channel-${name}";
    value = channel.urlsFile;
  }) cfg.notifications.channels;

  # A file in the state folder is the daemon's own already, and may change while it runs.
  own = file: file != null && lib.hasPrefix "/var/lib/triaged/" file;
  all = {
    keys = cfg.api.keysFile;
    dsn = cfg.database.dsnFile;
    mqtt = cfg.mqtt.passwordFile;
  }
  // ofTiers
  // ofChannels;
  handedOver = lib.filterAttrs (_: file: file != null && !own file) all;
in
{
  inherit all;

  # For LoadCredential.
  credentials = lib.mapAttrsToList (name: file: "${name}:${file}") handedOver;

  # Where the daemon finds the one with this name; null where there is none.
  path =
    name:
    if lib.hasAttr name handedOver then "/run/credentials/triaged.service/${name}" else all.${name};
}
