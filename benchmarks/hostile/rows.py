"""All rows of the table."""

from benchmarks.hostile import folders, pieces, presets, readers, templates

ROWS = (*readers.ROWS, *folders.ROWS, *presets.ROWS, *pieces.ROWS, *templates.ROWS)
