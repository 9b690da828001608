"""Model files: which there are, and how they get here.

Read `catalogue.py` (what is known), `hub.py` (the one adapter to a hub of models), `pull.py`
(safely from there to here), `folder.py` (what is here). Whether they fit is for `tiers/planning`.
"""
