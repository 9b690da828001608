# Wheels for what nixpkgs lacks, or may have too old: the versions and hashes of requirements/run.txt,
# which a test holds them to.
#
# atLeast   the version from which nixpkgs' own package is taken instead
# needs     Python packages that it needs, by their names in nixpkgs
# files     SHA-256 by system; "any" is pure Python
{
  aiomqtt = {
    version = "2.5.1";
    atLeast = "2.5";
    needs = [ "paho-mqtt" ];
    files.any.sha256 = "fd58c3593160e4d475d90ce911cdfc4239cd64de96b0ba22edf6c86bd7afa278";
  };

  chromadb = {
    version = "1.5.9";
    atLeast = "1.5.9";
    needs = [
      "bcrypt"
      "build"
      "grpcio"
      "httpx"
      "importlib-resources"
      "jsonschema"
      "kubernetes"
      "mmh3"
      "numpy"
      "onnxruntime"
      "opentelemetry-api"
      "opentelemetry-exporter-otlp-proto-grpc"
      "opentelemetry-sdk"
      "orjson"
      "overrides"
      "pybase64"
      "pydantic"
      "pydantic-settings"
      "pypika"
      "pyyaml"
      "rich"
      "tenacity"
      "tokenizers"
      "tqdm"
      "typer"
      "typing-extensions"
      "uvicorn"
    ];
    python = "cp39";
    abi = "abi3";
    files.x86_64-linux = {
      platform = "manylinux_2_17_x86_64.manylinux2014_x86_64";
      sha256 = "cc09b3df76e5a5cb386aed2715a2eea152e3949f9e1ba93c7119505377749929";
    };
    files.aarch64-linux = {
      platform = "manylinux_2_17_aarch64.manylinux2014_aarch64";
      sha256 = "9192d111bd662241625867962333d99369a00769a50f8b2f58cb388731274d7e";
    };
  };

  httpcore2 = {
    version = "2.16.2";
    atLeast = "2";
    needs = [
      "h11"
      "truststore"
    ];
    files.any.sha256 = "16051ae2a42f776007543f32de9349a317b23d2cbb4e1456b4bac0e88b87419a";
  };

  httpx2 = {
    version = "2.16.2";
    atLeast = "2";
    needs = [
      "anyio"
      "httpcore2"
      "idna"
      "truststore"
    ];
    files.any.sha256 = "f05c13aade4c45dbf1c9060647a1058f0acad62398fad96e741269edb33d46f5";
  };

  huggingface-hub = {
    version = "2.4.0";
    atLeast = "2.4";
    needs = [
      "click"
      "filelock"
      "fsspec"
      "hf-xet"
      "httpx2"
      "packaging"
      "pyyaml"
      "tqdm"
      "typing-extensions"
    ];
    files.any.sha256 = "42ecfd93ede47bdd333daebbf66a32d7bfe2e18752754fe4d2d4f98a0179d801";
  };

  # Older ones refuse a huggingface-hub of 2.4.
  tokenizers = {
    version = "0.23.3";
    atLeast = "0.23.3";
    needs = [ "huggingface-hub" ];
    python = "cp310";
    abi = "abi3";
    files.x86_64-linux = {
      platform = "manylinux_2_17_x86_64.manylinux2014_x86_64";
      sha256 = "376851d22bcf9d650a5c3090bb83e6cf9e895fbf0595369fa4cd43c1f69b5f87";
    };
    files.aarch64-linux = {
      platform = "manylinux_2_17_aarch64.manylinux2014_aarch64";
      sha256 = "ec82e80e65a862275b97c3d90b7a523df8d9519ee48aeb4e9625b2cc909274e0";
    };
  };

  # Only with withBundledLlama.
  xllamacpp = {
    version = "2026.10.11549";
    atLeast = "2026";
    needs = [ ];
    python = "cp310";
    abi = "abi3";
    files.x86_64-linux = {
      platform = "manylinux2014_x86_64.manylinux_2_17_x86_64";
      sha256 = "c54e7d13520ecc989c63dc99d55de3065e2f343a91f43f053d16b5e62077c261";
    };
    files.aarch64-linux = {
      platform = "manylinux2014_aarch64.manylinux_2_17_aarch64";
      sha256 = "e2a3e79e775515de4ad197e667f874070446ef9ac9cf2044bc9866bc4c72289e";
    };
  };
}
