"""The trainer needs torch, which is installed for training only (training/requirements-torch.txt).

Without it there is nothing of the trainer to test; the data generators are tested everywhere.
"""

from __future__ import annotations

import importlib.util

collect_ignore = (
    [] if importlib.util.find_spec("torch") else ["test_pipeline_model.py", "test_tables.py"]
)
