"""The kinds of actions, one file a family; each has its `KINDS`. `unit_states` is what those that
act on units have in common."""
