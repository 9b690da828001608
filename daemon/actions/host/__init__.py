"""What kinds of actions measure with and act through: `host` has the protocols."""
