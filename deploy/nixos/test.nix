# Boots a machine with triaged, injects an event, and chats: `nix build .#checks.x86_64-linux.vm`.
{ pkgs, ... }:
{
  name = "triaged";

  nodes.machine = {
    imports = [ ./module.nix ];
    services.triaged = {
      enable = true;
      # The llama-server that the bundled models were tried with, whatever nixpkgs has.
      package = pkgs.callPackage ./package.nix { withBundledLlama = true; };
      llama-cpp.bundled = true;
      settings.sources.services.units = [ "nginx" ];
    };
    services.nginx.enable = true;
    virtualisation = {
      memorySize = 4096;
      cores = 2;
      diskSize = 8192;
    };
  };

  testScript = ''
    import json

    machine.start()
    machine.wait_for_unit("triaged.target")

    with subtest("the models answer, each on its port"):
        for tier, port in (("trigger", 8080), ("review", 8081), ("meta", 8082)):
            machine.wait_for_unit(f"llama-{tier}.service")
            machine.wait_for_open_port(port)

    with subtest("the daemon is ready and attached to them"):
        machine.wait_for_unit("triaged.service")
        machine.wait_for_open_port(8083)
        machine.wait_until_succeeds("triaged status", timeout=120)
        tiers = json.loads(machine.succeed("curl -sf http://127.0.0.1:8083/v1/models"))
        assert "triaged" in {model["id"] for model in tiers["data"]}, tiers
        machine.succeed("triaged check-config --config /etc/triaged/triaged.toml")

    with subtest("its state is in this host's PostgreSQL"):
        query = "select count(*) from pg_tables where tableowner = 'triaged'"
        tables = machine.succeed(f'sudo -u postgres psql -d triaged -Atc "{query}"')
        assert int(tables) > 5, tables
        machine.succeed("sudo -u triaged triaged backup /var/lib/triaged/one.tar")

    with subtest("an event becomes an incident"):
        machine.succeed(
            "triaged inject --wait 120 --unit db"
            " 'kernel: Out of memory: Killed process 42 (db) total-vm:8123456kB'"
        )
        incidents = json.loads(machine.succeed("triaged incidents list --json"))
        assert incidents, "no incident"

    with subtest("a chat is answered"):
        question = json.dumps(
            {
                "model": "triaged",
                "messages": [{"role": "user", "content": "how full is the disk?"}],
            }
        )
        answer = json.loads(
            machine.succeed(
                "curl -sf http://127.0.0.1:8083/v1/chat/completions"
                f" -H 'Content-Type: application/json' -d '{question}'",
                timeout=180,
            )
        )
        assert "%" in answer["choices"][0]["message"]["content"], answer

    with subtest("polkit lets it manage what is not critical, and nothing else"):
        machine.wait_for_unit("nginx.service")
        machine.succeed("sudo -u triaged systemctl restart nginx.service")
        machine.fail("sudo -u triaged systemctl --no-ask-password stop systemd-journald.service")
        machine.fail("sudo -u triaged systemctl --no-ask-password stop postgresql.service")
        machine.fail("sudo -u triaged systemctl --no-ask-password disable nginx.service")
        machine.fail("sudo -u triaged systemd-run --no-ask-password --wait true")

    with subtest("others cannot reach it"):
        machine.fail("ss -Hltn | grep -E ':(8080|8081|8082|8083)' | grep -vE '127.0.0.1|\\[::1\\]'")

    with subtest("it comes back with what it knew"):
        machine.shutdown()
        machine.start()
        machine.wait_for_unit("triaged.service")
        machine.wait_until_succeeds(
            "triaged incidents list --all --json | grep -q 'Out of memory'", timeout=120
        )
  '';
}
