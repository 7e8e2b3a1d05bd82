"""Finding node types: fuzzy search, recent types, and the panel they are dragged from."""
