# /etc/triaged/helper.toml: what root allows the helper.
{ cfg, lib }:
{
  inherit (cfg.helper) verbs;
  critical_units = cfg.criticalUnits;
  # /etc/systemd/system is in the store: a changed limit lasts until the next boot, and the configuration
  # of the system is where it is made to stay.
  drop_ins = "/run/systemd/system";
}
// lib.optionalAttrs (cfg.nixos.flake != null) { inherit (cfg.nixos) flake; }
// cfg.helper.settings
