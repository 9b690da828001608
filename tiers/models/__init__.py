"""Model files: which there are, whether they fit this machine, and how they get here.

Read `catalogue.py` (what is known), `fit.py` (pure: does it fit), `hub.py` (the one adapter to a
hub of models), `pull.py` (safely from there to here), `folder.py` (what is here).
"""
