"""The edited project as plain data: records, changes, commands, undo history and file format."""
