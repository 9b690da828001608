# What the units may see and change: as in deploy/systemd/triaged.service and llama-*.service, which
# say why. A test holds them beside each other.
{ cfg, lib }:
let
  gpu = cfg.llama-cpp.acceleration != "cpu";

  common = {
    NoNewPrivileges = true;
    CapabilityBoundingSet = "";
    AmbientCapabilities = "";
    UMask = "0077";
    ProtectSystem = "strict";
    PrivateTmp = true;
    PrivateMounts = true;
    PrivateDevices = !gpu;
    DevicePolicy = "closed";
    ProtectClock = true;
    ProtectControlGroups = true;
    ProtectHostname = true;
    ProtectKernelLogs = true;
    ProtectKernelModules = true;
    ProtectKernelTunables = true;
    LockPersonality = true;
    MemoryDenyWriteExecute = !gpu;
    RestrictNamespaces = true;
    RestrictRealtime = true;
    RestrictSUIDSGID = true;
    RemoveIPC = true;
    KeyringMode = "private";
    IPAddressDeny = "any";
    SystemCallArchitectures = "native";
    SystemCallFilter = [
      "@system-service"
      "~@privileged @resources"
    ];
    SystemCallErrorNumber = "EPERM";
  }
  // lib.optionalAttrs gpu {
    # Drivers compile kernels into memory that is written and then run; see drop-ins/gpu.conf.
    DeviceAllow = [
      "/dev/nvidiactl rw"
      "/dev/nvidia-uvm rw"
      "/dev/nvidia-uvm-tools rw"
      "char-nvidia rw"
      "char-nvidia-frontend rw"
      "char-nvidia-uvm rw"
      "char-drm rw"
      "char-kfd rw"
    ];
  };

  ofCards = lib.optionals gpu [
    "video"
    "render"
  ];
in
{
  # `addresses`: beside loopback.
  daemon =
    addresses:
    common
    // {
      SupplementaryGroups = [
        "systemd-journal"
        "adm"
      ]
      ++ ofCards;
      ProtectHome = "read-only";
      IPAddressAllow = [ "localhost" ] ++ addresses;
      RestrictAddressFamilies = [
        "AF_UNIX"
        "AF_INET"
        "AF_INET6"
        "AF_NETLINK"
      ];
    };

  server =
    common
    // {
      ProtectHome = true;
      ProtectProc = "invisible";
      PrivateUsers = true;
      IPAddressAllow = [ "localhost" ];
      RestrictAddressFamilies = [
        "AF_UNIX"
        "AF_INET"
        "AF_INET6"
      ];
    }
    // lib.optionalAttrs gpu { SupplementaryGroups = ofCards; };

  # Gets model files from elsewhere and computes nothing.
  download =
    removeAttrs common [
      "DeviceAllow"
      "IPAddressDeny"
    ]
    // {
      PrivateDevices = true;
      MemoryDenyWriteExecute = true;
      ProtectHome = true;
      ProtectProc = "invisible";
      PrivateUsers = true;
      RestrictAddressFamilies = [
        "AF_UNIX"
        "AF_INET"
        "AF_INET6"
      ];
    };
}
