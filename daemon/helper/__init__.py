"""The root helper: what needs root's power, as fixed verbs, and nothing else.

systemd starts it for one connection (`deploy/actions/triaged-helper.socket`): one line of JSON in,
one out. It uses the standard library alone and imports nothing else of triaged, so that no code
which has to do with models runs as root. It trusts nobody who asks: the kernel tells who is at the
other end, the verbs that may be used stand in /etc/triaged/helper.toml, which is root's, and every
argument is checked again by rules of its own.

Read in this order: `main` (one call from beginning to end), `peers`, `config`, `request`,
`arguments` (typed values out of hostile ones), `context` (what a verb may use), `programs`,
`locks`, `journal`, then `verbs`, one file a verb or two that belong together.
"""
