# What can be said about the three tiers, and about llama-server and model files.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) literalExpression mkOption types;
  cfg = config.services.triaged;
  own = import ./types.nix { inherit lib; };

  ports = {
    trigger = 8080;
    review = 8081;
    meta = 8082;
  };
  memory = {
    trigger = "4G";
    review = "16G";
    meta = "64G";
  };

  tier =
    { name, ... }:
    {
      options = {
        model = mkOption {
          type = types.nullOr (types.either types.str types.path);
          default = "bundled";
          example = "/srv/models/Qwen3-4B-Q4_K_M.gguf";
          description = ''
            `"bundled"` (the small model that comes along), the name of an entry of
            `llama-cpp.models`, or the absolute path of a GGUF file. With `endpoint`: the model's name
            there; bundled means the first that it lists.
          '';
        };
        endpoint = mkOption {
          type = types.nullOr types.str;
          default = null;
          example = "http://192.0.2.20:8000";
          description = ''
            URL of a running server that speaks OpenAI's API. Then no llama-server is started for this
            tier. `settings.tiers.NAME.backend` says what it is, where it is not a llama-server.
          '';
        };
        apiKeyFile = mkOption {
          type = own.file;
          default = null;
          example = "/run/secrets/triaged-review-key";
          description = "File whose first line is the endpoint's key, readable by root; a credential.";
        };
        contextSize = mkOption {
          type = types.nullOr (types.ints.between 256 1048576);
          default = null;
          example = 16384;
          description = "Tokens of prompt and answer of one call. `null`: the model's, at most 8192.";
        };
        parallel = mkOption {
          type = types.nullOr (types.ints.between 1 64);
          default = null;
          example = 2;
          description = "Calls that are answered at the same time. `null`: 4 for trigger, else 2.";
        };
        threads = mkOption {
          type = types.nullOr (types.ints.between 1 1024);
          default = null;
          example = 8;
          description = "Processor threads. `null`: 1 for the bundled model, else by hardware.";
        };
        gpuLayers = mkOption {
          type = types.nullOr (types.addCheck types.int (layers: layers >= -1));
          default = null;
          example = 24;
          description = "Layers kept on the GPU where there is one. `null` or -1: as many as fit.";
        };
        port = mkOption {
          type = types.port;
          default = ports.${name} or 8080;
          defaultText = literalExpression "8080 for trigger, 8081 for review, 8082 for meta";
          example = 9081;
          description = "Port of this tier's llama-server, on loopback.";
        };
        memoryMax = mkOption {
          type = types.str;
          default = memory.${name} or "4G";
          defaultText = literalExpression ''"4G" for trigger, "16G" for review, "64G" for meta'';
          example = "12G";
          description = ''
            Memory beyond which systemd ends this tier's llama-server rather than the host: the
            model's size and a half.
          '';
        };
      };
    };

  model.options = {
    repository = mkOption {
      type = types.nullOr (types.strMatching "[A-Za-z0-9][A-Za-z0-9_.-]*/[A-Za-z0-9][A-Za-z0-9_.-]*");
      default = null;
      example = "unsloth/Qwen3-4B-GGUF";
      description = "Repository on the Hugging Face hub.";
    };
    file = mkOption {
      type = types.nullOr (types.strMatching "[A-Za-z0-9_][A-Za-z0-9_./+-]*\\.gguf");
      default = null;
      example = "Qwen3-4B-Q4_K_M.gguf";
      description = "Name of the file in the repository; one file, not the part of a split one.";
    };
    url = mkOption {
      type = types.nullOr types.str;
      default = null;
      example = "https://models.example/Qwen3-4B-Q4_K_M.gguf";
      description = ''
        Where `fetch = "build"` gets the file from. `null`: from the repository on the hub.
      '';
    };
    hash = mkOption {
      type = types.nullOr (types.strMatching "[0-9a-f]{64}|sha256-[A-Za-z0-9+/]{43}=");
      default = null;
      example = "f6f851777709861056efcdad3af01da38b31223a3ba26e61a4f8bf3a2195813a";
      description = ''
        The file's SHA-256, in 64 hexadecimal digits (as the hub shows it) or as `sha256-...`. A file
        of another sum is refused. Needed for `fetch = "build"`; at a start, without one, the sum
        that the hub's listing gives is what is checked.
      '';
    };
    fetch = mkOption {
      type = types.enum [
        "build"
        "start"
      ];
      default = "build";
      example = "start";
      description = ''
        `build`: fetched by its hash when the system is built, and kept in the store. `start`:
        downloaded to `/var/lib/triaged/models` when the system starts and the file is not there yet; it
        goes on where it was broken off.
      '';
    };
  };
in
{
  # All three are always there, so that their defaults are too.
  config.services.triaged.tiers = lib.mapAttrs (_: _: { }) ports;

  options.services.triaged = {
    tiers = mkOption {
      type = types.attrsOf (types.submodule tier);
      default = { };
      example = {
        review = {
          model = "qwen3-4b";
          contextSize = 16384;
        };
        meta.endpoint = "http://192.0.2.20:8000";
      };
      description = ''
        The three tiers: `trigger` (many small calls), `review` (investigates) and `meta` (plans and
        chats). Those that are not named have the bundled model.
      '';
    };

    llama-cpp = {
      enable = mkOption {
        type = types.bool;
        default = true;
        example = false;
        description = ''
          Whether systemd runs a llama-server for each tier without an endpoint, as
          `llama-trigger`, `llama-review` and `llama-meta`, to which the daemon attaches. Without it
          the daemon runs them itself, and can make them give way when memory runs short.
        '';
      };
      package = mkOption {
        type = types.package;
        default =
          {
            cpu = pkgs.llama-cpp;
            cuda = pkgs.llama-cpp.override { cudaSupport = true; };
            rocm = pkgs.llama-cpp.override { rocmSupport = true; };
            vulkan = pkgs.llama-cpp.override { vulkanSupport = true; };
          }
          .${cfg.llama-cpp.acceleration};
        defaultText = literalExpression "pkgs.llama-cpp, built for `acceleration`";
        example = literalExpression "pkgs.llama-cpp.override { blasSupport = true; }";
        description = ''
          Package with `bin/llama-server`, build 11434 or later: older ones lack what the bundled models
          need, and are refused with a sentence.
        '';
      };
      bundled = mkOption {
        type = types.nullOr types.bool;
        default = null;
        example = true;
        description = ''
          Whether to run the llama-server in the package of triaged, made with `withBundledLlama`,
          instead of `package`. It computes on processors only. `null`: where `acceleration` is `cpu` and
          `package` says that it is older than what the daemon takes.
        '';
      };
      acceleration = mkOption {
        type = types.enum [
          "cpu"
          "cuda"
          "rocm"
          "vulkan"
        ];
        default = "cpu";
        example = "vulkan";
        description = ''
          What models compute on. Anything but `cpu` also opens the devices of graphics cards to the
          units. The driver itself is the host's (`hardware.graphics`, `hardware.nvidia`).
        '';
      };
      models = mkOption {
        type = types.attrsOf (types.submodule model);
        default = { };
        example = {
          qwen3-4b = {
            repository = "unsloth/Qwen3-4B-GGUF";
            file = "Qwen3-4B-Q4_K_M.gguf";
            hash = "f6f851777709861056efcdad3af01da38b31223a3ba26e61a4f8bf3a2195813a";
          };
        };
        description = "Model files by the name under which `tiers.NAME.model` refers to them.";
      };
      environmentFile = mkOption {
        type = own.file;
        default = null;
        example = "/run/secrets/triaged-hub";
        description = ''
          File with `HF_TOKEN=` for gated repositories or `HF_ENDPOINT=` for a mirror, for models that are
          downloaded at a start.
        '';
      };
    };
  };
}
