# Whom the daemon may talk to beside loopback, by what is configured.
{ cfg, lib }:
let
  isLocal =
    host: host == "localhost" || host == "::1" || host == "[::1]" || lib.hasPrefix "127." host;
  # The host of http://HOST:PORT/PATH; IPv6 in brackets.
  hostOf =
    url:
    let
      found = builtins.match "https?://(\\[[^]]*]|[^/:]*).*" url;
    in
    if found == null then "" else builtins.head found;
  endpoints = lib.filter (url: url != null) (lib.mapAttrsToList (_: tier: tier.endpoint) cfg.tiers);
  listens = cfg.settings.api.host or "127.0.0.1";
  beyond =
    !isLocal listens
    || lib.any (url: !isLocal (hostOf url)) endpoints
    || (cfg.mqtt.enable && !isLocal cfg.mqtt.host)
    || cfg.database.dsnFile != null
    || cfg.notifications.channels != { };
in
{
  inherit isLocal listens;
  addresses =
    if cfg.allowedAddresses != null then
      cfg.allowedAddresses
    else
      lib.optional beyond "any";
}
