"""Makes a llama-server from llama.cpp's source, for this machine.

Read `values.py` for the words and `build.py` for the straight line: a source (`sources.py`,
`archives.py`, `clone.py`), tools (`tools.py`, `distribution.py`), what to build for (`backends.py`,
pure), how (`definitions.py`, `jobs.py`, pure), the steps (`steps.py`, `process.py`, `progress.py`),
the proof (`proof.py`), and where it is kept (`store.py`).
"""
