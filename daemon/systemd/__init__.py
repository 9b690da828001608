"""How systemd's manager is spoken to on D-Bus, for whoever watches units and whoever acts on them.

`names` (units and their object paths), `connection` (calls and signals), `errors`.
"""
