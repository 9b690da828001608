# The root helper, as in deploy/actions: its file, its socket, and one call of it.
{ cfg, lib }:
let
  allows = verb: lib.elem verb cfg.helper.verbs;

  # Nothing of what a build and a switch do can be foreseen (drop-ins/packages.conf).
  isFenced = !(allows "nixos" || allows "security-updates");

  # As deploy/actions/systemd/triaged-helper@.service, which says why; a test holds them together.
  fence = {
    NoNewPrivileges = true;
    CapabilityBoundingSet = [
      "CAP_KILL CAP_SYS_NICE CAP_NET_ADMIN CAP_DAC_OVERRIDE CAP_DAC_READ_SEARCH"
      "CAP_FOWNER CAP_CHOWN CAP_FSETID CAP_SETUID CAP_SETGID CAP_SYS_PTRACE"
    ]
    ++ lib.optional (allows "remount") "CAP_SYS_ADMIN CAP_SYS_CHROOT";
    AmbientCapabilities = "";
    ProtectSystem = "full";
    PrivateMounts = true;
    PrivateDevices = true;
    DevicePolicy = "closed";
    ProtectClock = true;
    ProtectControlGroups = true;
    ProtectHostname = true;
    ProtectKernelLogs = true;
    ProtectKernelModules = true;
    ProtectKernelTunables = true;
    LockPersonality = true;
    MemoryDenyWriteExecute = true;
    RestrictNamespaces = if allows "remount" then "mnt" else true;
    RestrictRealtime = true;
    RestrictSUIDSGID = true;
    IPAddressDeny = "any";
    RestrictAddressFamilies = "AF_UNIX AF_NETLINK";
    SystemCallArchitectures = "native";
    SystemCallFilter = [ "@system-service" ] ++ lib.optional (allows "remount") "@mount setns";
  };
in
{
  # /etc/triaged/helper.toml: what root allows.
  settings = {
    inherit (cfg.helper) verbs;
    critical_units = cfg.criticalUnits;
    # /etc/systemd/system is in the store: a changed limit lasts until the next boot, and the
    # configuration of the system is where it is made to stay.
    drop_ins = "/run/systemd/system";
  }
  // lib.optionalAttrs (cfg.nixos.flake != null) { inherit (cfg.nixos) flake; }
  // cfg.helper.settings;

  service = {
    description = "One call of the root helper of triaged";
    # A switch that it runs must not end what runs it.
    restartIfChanged = false;
    stopIfChanged = false;
    unitConfig.CollectMode = "inactive-or-failed";
    serviceConfig = {
      ExecStart = "${cfg.package}/bin/triaged-helper";
      StandardInput = "socket";
      StandardOutput = "null";
      StandardError = "journal";
      SyslogIdentifier = "triaged-helper";
      RuntimeMaxSec = "75min";
      TimeoutStopSec = 20;
      KillMode = "control-group";
      UMask = "0022";
      KeyringMode = "private";
      SystemCallErrorNumber = "EPERM";
    }
    // lib.optionalAttrs isFenced fence;
  };

  socket = {
    description = "Root helper of the AI system administrator: fixed verbs, for the user triaged alone";
    wantedBy = [ "sockets.target" ];
    listenStreams = [ "/run/triaged-helper/socket" ];
    socketConfig = {
      Accept = true;
      SocketUser = "root";
      SocketGroup = "triaged";
      SocketMode = "0660";
      DirectoryMode = "0755";
      MaxConnections = 16;
      RemoveOnStop = true;
    };
  };
}
