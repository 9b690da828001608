"""The schema, as forward migrations; a released file never changes again."""
