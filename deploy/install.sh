#!/usr/bin/env bash
# Installs triaged as a system service: see docs/install.md. `install.sh --help` lists what it can.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
prefix=/opt/triaged
state=/var/lib/triaged
etc=/etc/triaged
units=/etc/systemd/system
command_link=/usr/local/bin/triaged
ready_seconds=600

verb=install wheelhouse='' python='' models='' api='' gpu=no actions=no dry=no yes=no start=yes keep=ask
changed=no

usage() {
  cat <<'HELP'
install.sh [install]   install, or upgrade what is installed (a backup is made before)
install.sh rollback    go back to the release before, with its backup where the schema has changed
install.sh uninstall   remove the program; asks before state is removed

  --dry-run            say what would be done, and do nothing
  --yes                do not ask
  --wheelhouse FOLDER  what `make wheelhouse` built; default: the folder of this script
  --python PROGRAM     Python 3.11 or later; default: the newest that is found
  --models daemon      the daemon runs its llama-servers (default)
  --models systemd     systemd runs them: llama-trigger, llama-review, llama-meta
  --api daemon         the daemon answers on port 8083 itself (default)
  --api apart          triaged-api answers there, a process of its own
  --gpu                let the models reach the GPU
  --allow-actions      let the user triaged change this host, as far as it says first; the level
                       of autonomy stays what the configuration says
  --no-start           install, and start nothing
  --keep-state         uninstall: keep state and configuration without asking
  --purge              uninstall: remove state, configuration and user without asking
HELP
}

say() { printf '%s\n' "$*"; }
die() { printf 'install.sh: %s\n' "$*" >&2; exit 1; }

# Says what is done, then does it; with --dry-run only says it.
step() {
  local words=$1
  shift
  say "  - $words"
  changed=yes
  [[ $dry == yes ]] || "$@"
}

ask() {
  [[ $yes == yes ]] && return 0
  [[ -t 0 ]] || return 1
  local answer
  read -r -p "$1 [y/N] " answer
  [[ $answer == [yY]* ]]
}

has_systemd() { [[ -d /run/systemd/system ]]; }
as_triaged() { runuser -u triaged -- env HOME="$state" "$@"; }
current() { readlink "$prefix/current" 2>/dev/null | sed 's,.*/,,' || true; }

# --- what this host is ----------------------------------------------------------------------------

packages_hint() {
  local id=' '
  # shellcheck source=/dev/null
  [[ -r /etc/os-release ]] && id=" $(. /etc/os-release; echo "${ID:-} ${ID_LIKE:-}") "
  case $id in
    *' debian '* | *' ubuntu '*) echo "apt install python3 python3-venv" ;;
    *' fedora '* | *' rhel '*) echo "dnf install python3.12" ;;
    *' arch '*) echo "pacman -S python" ;;
    *) echo "install Python 3.11 or later with its venv module" ;;
  esac
}

find_python() {
  local candidate
  for candidate in ${python:-python3.14 python3.13 python3.12 python3.11 python3}; do
    if command -v "$candidate" >/dev/null &&
      "$candidate" -c 'import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null &&
      has_wheels_for "$candidate"; then
      command -v "$candidate"
      return
    fi
  done
  die "no Python 3.11 or later with venv that the wheelhouse was built for ($(built_for)): $(packages_hint)"
}

built_for() {
  printf '%s\n' "$wheelhouse"/wheels/pydantic_core-*.whl | sed -E 's/.*-(cp[0-9]+)-cp.*/\1/' | sort -u | xargs
}

has_wheels_for() {
  local tag
  tag=$("$1" -c 'import sys; print("cp%d%d" % sys.version_info[:2])')
  compgen -G "$wheelhouse/wheels/pydantic_core-*-$tag-*.whl" >/dev/null
}

check_host() {
  [[ $EUID == 0 || $dry == yes ]] || die "run it as root (sudo $0 $verb), or look first: $0 $verb --dry-run"
  if ! has_systemd; then
    [[ $start == no || $dry == yes ]] ||
      die "systemd does not run here; in a container use 'triaged run', or install with --no-start"
    start=no
  fi
}

check_wheelhouse() {
  [[ -n $wheelhouse ]] || wheelhouse=$here
  [[ -d $wheelhouse/wheels ]] || die "$wheelhouse holds no wheels: run 'make wheelhouse', then its install.sh, or name it with --wheelhouse"
  wheelhouse=$(cd "$wheelhouse" && pwd)
  wheel=$(compgen -G "$wheelhouse/wheels/triaged-*.whl" | head -n 1) || die "$wheelhouse/wheels holds no triaged-*.whl: run 'make wheelhouse' again"
  local version digest
  version=$(basename "$wheel" | cut -d- -f2)
  digest=$(cat "$wheel" "$wheelhouse/run.txt" | sha256sum | cut -c1-8)
  release=$version-$digest
}

# --- steps ----------------------------------------------------------------------------------------

make_release() {
  local goal=$prefix/releases/$release
  rm -rf "$goal"
  mkdir -p "$goal"
  "$py" -m venv "$goal"
  "$goal/bin/pip" --isolated install -q --disable-pip-version-check --no-cache-dir --no-index \
    --find-links "$wheelhouse/wheels" --require-hashes -r "$wheelhouse/run.txt"
  "$goal/bin/pip" --isolated install -q --disable-pip-version-check --no-cache-dir --no-index --no-deps "$wheel"
  mkdir -p "$goal/share"
  cp -r "$wheelhouse/systemd" "$wheelhouse/install.sh" "$goal/share/"
  [[ ! -d $wheelhouse/actions ]] || cp -r "$wheelhouse/actions" "$goal/share/"
  "$goal/bin/triaged" --version >/dev/null
  touch "$goal/.whole"
}

put() { install -D -m 0644 "$1" "$2"; }

# put_unit SOURCE TARGET: nothing is said or done where it is the same already.
put_file() {
  cmp -s "$1" "$2" || step "write $2" put "$1" "$2"
}

make_user() {
  systemd-sysusers /etc/sysusers.d/triaged.conf
  systemd-tmpfiles --create /etc/tmpfiles.d/triaged.conf
}

make_config() {
  {
    echo "# What was set on this host. $prefix/current/share/triaged.example.toml explains every setting."
    echo "state_dir = \"$state\""
  } >"$etc/triaged.toml"
  chmod 0644 "$etc/triaged.toml"
}

put_example() { put "$wheelhouse/triaged.example.toml" "$prefix/releases/$release/share/triaged.example.toml"; }

switch_to() {
  ln -sfn "releases/$1" "$prefix/current.new"
  mv -T "$prefix/current.new" "$prefix/current"
}

# drop_in WANTED VALUE SOURCE: the daemon has it where VALUE is wanted; "" leaves it as it is.
drop_in() {
  local goal
  goal=$units/triaged.service.d/$(basename "$3")
  case $1 in
    '') ;;
    "$2") put_file "$3" "$goal" ;;
    *) [[ ! -e $goal ]] || step "remove $goal" rm -f "$goal" ;;
  esac
}

is_apart() { [[ -e $units/triaged.service.d/apart.conf ]]; }

unit_files() {
  local source=$1/systemd
  put_file "$source/triaged.sysusers" /etc/sysusers.d/triaged.conf
  put_file "$source/triaged.tmpfiles" /etc/tmpfiles.d/triaged.conf
  put_file "$source/triaged.service" "$units/triaged.service"
  put_file "$source/triaged.target" "$units/triaged.target"
  put_file "$source/triaged-api.service" "$units/triaged-api.service"
  local tier
  for tier in trigger review meta; do
    put_file "$source/llama-$tier.service" "$units/llama-$tier.service"
  done
  drop_in "$models" systemd "$source/drop-ins/attached.conf"
  drop_in "$api" apart "$source/drop-ins/apart.conf"
  if [[ $gpu == yes ]]; then
    for tier in triaged llama-trigger llama-review llama-meta; do
      put_file "$source/drop-ins/gpu.conf" "$units/$tier.service.d/gpu.conf"
    done
  fi
}

# What --allow-actions grants: a rule of polkit, and a root helper with the verbs of its helper.toml.
polkit_rule=/etc/polkit-1/rules.d/50-triaged.rules
helper_socket=$units/triaged-helper.socket
helper_verbs=(
  unit-file restart-limit reversal-arm reversal-cancel journal-vacuum tmp-clean package-cache-clean
  log-rotate process-end process-renice block unblock
)

has_actions() { [[ $actions == yes || -e $helper_socket ]]; }

say_actions() {
  say "  --allow-actions grants to the user triaged, and to nobody else:"
  say "    by polkit: start, stop, restart and reload units that are not critical ($polkit_rule)"
  if [[ -e $etc/helper.toml ]]; then
    say "    by the root helper: what $etc/helper.toml lists already; it stays as it is"
  else
    say "    by the root helper: ${helper_verbs[*]}"
    say "    ($etc/helper.toml, which root changes at any time; 'verbs = []' takes all of it back)"
  fi
  say "  What is done with it is up to [actions] in $etc/triaged.toml: autonomy, deny, ask, limits."
}

# put_root SOURCE TARGET: as put_file, for what has to be root's whatever the folder's owner is.
put_root() { cmp -s "$1" "$2" || step "write $2" install -D -o root -g root -m 0644 "$1" "$2"; }

make_helper_toml() {
  local list
  list=$(printf ', "%s"' "${helper_verbs[@]}")
  sed "s/^verbs = \[\]$/verbs = [${list:2}]/" "$1" >"$etc/helper.toml.new"
  chown root:root "$etc/helper.toml.new"
  chmod 0644 "$etc/helper.toml.new"
  mv "$etc/helper.toml.new" "$etc/helper.toml"
}

action_files() {
  local source=$1/actions
  [[ -d $source ]] || die "$1 has no folder 'actions': run 'make wheelhouse' again"
  [[ $actions == no ]] || say_actions
  put_root "$source/polkit/50-triaged.rules" "$polkit_rule"
  put_root "$source/systemd/triaged-helper.socket" "$helper_socket"
  put_root "$source/systemd/triaged-helper@.service" "$units/triaged-helper@.service"
  [[ -e $etc/helper.toml ]] || step "write $etc/helper.toml" make_helper_toml "$source/helper.toml"
}

enable_helper() {
  systemctl daemon-reload
  systemctl -q enable triaged-helper.socket
  systemctl restart triaged-helper.socket
}

# The grants go with the program, helper.toml among them: it would speak for the next installation.
remove_actions() {
  ! has_systemd || systemctl -q disable --now triaged-helper.socket 2>/dev/null || true
  rm -f "$polkit_rule" "$helper_socket" "$units/triaged-helper@.service" "$etc/helper.toml"
  rm -f "$units"/triaged-helper@.service.d/{packages,mounts}.conf
  rmdir "$units/triaged-helper@.service.d" 2>/dev/null || true
}

enable_units() {
  systemctl daemon-reload
  local services=(triaged.target triaged.service)
  if is_apart; then
    services+=(triaged-api.service)
  else
    systemctl -q disable --now triaged-api.service 2>/dev/null || true
  fi
  if [[ -e $units/triaged.service.d/attached.conf ]]; then
    services+=(llama-trigger.service llama-review.service llama-meta.service)
  else
    systemctl -q disable --now llama-trigger.service llama-review.service llama-meta.service 2>/dev/null || true
  fi
  systemctl -q enable "${services[@]}"
}

# Type=notify: `systemctl restart` returns when the daemon is ready, or has failed.
restart() {
  systemctl start --no-block triaged.target
  timeout "$ready_seconds" systemctl restart triaged.service || return
  ! is_apart || timeout "$ready_seconds" systemctl restart triaged-api.service
}

# It answers. That a large model is still being loaded (6: not ready yet) is no failure.
works() {
  systemctl -q is-active triaged.service || return
  as_triaged "$command_link" status >/dev/null || [[ $? == 6 ]]
}

save_state() {
  local file=$state/backups/before-$release.tar
  install -d -m 0700 -o triaged -g triaged "$state/backups"
  rm -f "$file"
  as_triaged "$prefix/current/bin/triaged" --config "$etc/triaged.toml" backup "$file" ||
    die "the backup failed; nothing was changed. See 'triaged doctor', or move on without one: systemctl stop triaged, remove $prefix/current, install again"
}

# --- verbs ----------------------------------------------------------------------------------------

install_release() {
  check_wheelhouse
  py=$(find_python) || exit 1
  local before
  before=$(current)
  say "triaged $release on $(hostname) with $("$py" -V), from $wheelhouse"
  if [[ -n $before && $before != "$release" ]]; then
    say "This is an upgrade from $before. It will:"
    step "back up all state to $state/backups/before-$release.tar" save_state
  else
    say "It will:"
  fi
  [[ -e $prefix/releases/$release/.whole ]] ||
    step "put the program into $prefix/releases/$release" make_release
  put_file "$wheelhouse/triaged.example.toml" "$prefix/releases/$release/share/triaged.example.toml"
  unit_files "$wheelhouse"
  if ! id -u triaged >/dev/null 2>&1 || [[ ! -d $etc/credentials || ! -d /srv/triaged/models ]]; then
    step "make the user triaged and the folders $etc, /srv/triaged/models" make_user
  fi
  [[ -e $etc/triaged.toml ]] || step "write $etc/triaged.toml" make_config
  ! has_actions || action_files "$wheelhouse"
  if [[ $before != "$release" ]]; then
    step "make $prefix/current point to it" switch_to "$release"
    [[ -z $before || $dry == yes ]] || echo "$before" >"$prefix/previous"
  fi
  [[ $(readlink "$command_link" 2>/dev/null) == "$prefix/current/bin/triaged" ]] ||
    step "make $command_link" ln -sfn "$prefix/current/bin/triaged" "$command_link"
  if [[ $start == no ]]; then
    say "Start it later with: systemctl daemon-reload && systemctl enable --now triaged.target triaged.service"
    return
  fi
  if [[ $changed == no ]] && works; then
    say "  nothing: it is installed and runs."
    return
  fi
  ! has_actions || step "let systemd listen for the root helper" enable_helper
  step "let systemd start triaged.target at boot" enable_units
  step "start it, and wait until it answers" start_or_go_back "$before"
  [[ $dry == yes ]] || say "triaged runs. Look with: triaged status; triaged doctor; journalctl -u triaged"
}

start_or_go_back() {
  if restart && works; then
    return
  fi
  journalctl -u triaged.service -n 15 --no-pager -o cat >&2 || true
  if [[ -n $1 && $1 != "$release" ]]; then
    say "It does not answer: going back to $1"
    go_back "$1" yes
    die "the upgrade failed and $1 runs again; its last words are above"
  fi
  die "it does not answer; its last words are above, and 'triaged doctor' looks for the reason"
}

schema_of() {
  local folder
  folder=$(compgen -G "$prefix/releases/$1/lib/python3.*/site-packages/daemon/store/migrations")
  (cd "$folder" && printf '%s\n' *.sql) | sha256sum
}

# go_back RELEASE: what the newer schema holds cannot be read by the older release, so its state
# comes back from the backup; the newer release puts it there.
go_back() {
  local to=$1 from
  from=$(current)
  systemctl stop triaged-api.service triaged.service 2>/dev/null || systemctl stop triaged.service
  if [[ $(schema_of "$to") != "$(schema_of "$from")" ]]; then
    as_triaged "$prefix/releases/$from/bin/triaged" --config "$etc/triaged.toml" restore --yes "$state/backups/before-$from.tar" || {
      restart || true
      die "$state/backups/before-$from.tar could not be restored, as said above: $from stays, with its state as it was"
    }
  fi
  switch_to "$to"
  rm -f "$prefix/previous"
  wheelhouse=$prefix/releases/$to/share
  unit_files "$wheelhouse"
  systemctl daemon-reload
  restart
}

rollback() {
  local to from
  from=$(current)
  [[ -n $from && -e $prefix/previous ]] || die "there is no release to go back to"
  to=$(cat "$prefix/previous")
  [[ -e $prefix/releases/$to/.whole ]] || die "the release $to is no longer in $prefix/releases"
  say "From $from back to $to. It will:"
  say "  - stop triaged"
  if [[ $(schema_of "$to") != "$(schema_of "$from")" ]]; then
    local file=$state/backups/before-$from.tar
    [[ -e $file ]] || die "the schema has changed since and there is no $file"
    say "  - restore $file: what came since then is lost, because the schema has changed"
  fi
  say "  - make $prefix/current point to $to, and start it"
  [[ $dry == yes ]] && return
  ask "Go on?" || die "nothing was changed (--yes goes on without asking)"
  go_back "$to"
  works || die "$to does not answer: journalctl -u triaged"
  say "triaged $to runs."
}

stop_all() {
  systemctl -q disable --now triaged.target triaged-api.service triaged.service llama-trigger.service llama-review.service llama-meta.service 2>/dev/null || true
}

remove_program() {
  rm -rf "$prefix" "$units"/triaged.service.d/{attached,apart,gpu}.conf "$units"/llama-{trigger,review,meta}.service.d/gpu.conf
  rm -f "$units"/triaged.{service,target} "$units"/triaged-api.service "$units"/llama-{trigger,review,meta}.service
  rm -f /etc/sysusers.d/triaged.conf /etc/tmpfiles.d/triaged.conf
  rmdir "$units"/{triaged,triaged-api,llama-trigger,llama-review,llama-meta}.service.d 2>/dev/null || true
  [[ $(readlink "$command_link" 2>/dev/null) != "$prefix"/* ]] || rm -f "$command_link"
  ! has_systemd || systemctl daemon-reload
}

remove_state() {
  rm -rf "$state" "$etc" /var/cache/triaged
  userdel triaged 2>/dev/null || true
  groupdel triaged 2>/dev/null || true
}

uninstall() {
  say "It will:"
  ! has_systemd || step "stop triaged and its models" stop_all
  [[ ! -e $helper_socket && ! -e $polkit_rule ]] ||
    step "take back what --allow-actions granted, $etc/helper.toml with it" remove_actions
  step "remove $prefix, its units and $command_link" remove_program
  case $keep in
    keep) say "State in $state and configuration in $etc stay." ;;
    purge) step "remove $state, $etc and the user triaged" remove_state ;;
    ask)
      if [[ $dry == yes ]]; then
        say "  - ask whether $state, $etc and the user triaged shall be removed too"
      elif [[ -t 0 ]] && yes=no ask "Remove $state (everything it learnt), $etc and the user triaged too?"; then
        remove_state
      else
        say "State in $state and configuration in $etc stay (--purge removes them). Models in /srv/triaged stay."
      fi
      ;;
  esac
}

while (($#)); do
  case $1 in
    install | upgrade) verb=install ;;
    rollback | uninstall) verb=$1 ;;
    --dry-run) dry=yes ;;
    --yes | -y) yes=yes ;;
    --gpu) gpu=yes ;;
    --allow-actions) actions=yes ;;
    --no-start) start=no ;;
    --keep-state) keep=keep ;;
    --purge) keep=purge ;;
    --wheelhouse | --python | --models | --api)
      (($# > 1)) || die "$1 needs a value"
      printf -v "${1#--}" %s "$2"
      shift
      ;;
    -h | --help) usage; exit 0 ;;
    *) usage >&2; exit 2 ;;
  esac
  shift
done
case $models in '' | daemon | systemd) ;; *) die "--models is daemon or systemd" ;; esac
case $api in '' | daemon | apart) ;; *) die "--api is daemon or apart" ;; esac

check_host
[[ $dry == no ]] || say "Only said, not done (--dry-run)."
case $verb in
  install) install_release ;;
  rollback) rollback ;;
  uninstall) uninstall ;;
esac
