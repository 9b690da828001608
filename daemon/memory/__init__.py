"""What past incidents taught: ChromaDB as an index, PostgreSQL as the truth.

Read `entries` (what is remembered), `embed` (our own vectors), `index` (the one owner of the
ChromaDB folder), `recall` (memory as the rest sees it: bounded in time, never in the way).
"""
