"""`triaged scan`: files through intake and the tiers, without a daemon.

The same code as the daemon's over a store of its own that is thrown away. Everything is read before
anything is judged, so that each pattern is judged once, knowing how often it came.

Read `reader` (files to batches), `spool` (which line got which fingerprint), `scan` (the run),
`report` (what is printed).
"""
